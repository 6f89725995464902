"""The lake's tables on Spark: Iceberg where there is a catalog, else Parquet in folders by day; a row is kept once."""

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from infra.glue.objects import DAY, KEYS, KIND, LAKE, LAKE_SCHEMAS, MANIFEST, SEEN, WIDE

_MANIFEST_KEYS = ("src_file", "file_id")


def ddl(schema: pa.Schema) -> str:
    """The schema as Spark writes it."""
    return ", ".join(f"`{field.name}` {_type(field.type)}" for field in schema)


def _type(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return "STRUCT<" + ", ".join(f"`{field.name}`: {_type(field.type)}" for field in kind) + ">"
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return {
        pa.string(): "STRING", pa.int64(): "BIGINT", pa.bool_(): "BOOLEAN", pa.date32(): "DATE", pa.binary(): "BINARY",
    }[kind]  # fmt: skip


class Lake(Protocol):
    """Where the tables are."""

    def table(self, name: str) -> DataFrame | None:
        """The table as it is, None when there is none yet."""
        ...

    def add(self, name: str, rows: DataFrame) -> None:
        """Append rows, by day; the table is made when there is none."""
        ...


class ParquetLake:
    """Folders of Parquet files under an address: TABLE/src_day=YYYY-MM-DD/."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self._spark, self._root = spark, root.rstrip("/")

    def table(self, name: str) -> DataFrame | None:
        schema = ddl(LAKE_SCHEMAS[name]) + ", " + _keys_ddl()
        try:
            return self._spark.read.schema(schema).parquet(f"{self._root}/{name}")
        except AnalysisException as error:
            if "PATH_NOT_FOUND" in str(error):
                return None
            raise

    def add(self, name: str, rows: DataFrame) -> None:
        rows.write.mode("append").partitionBy(DAY).parquet(f"{self._root}/{name}")


class IcebergLake:
    """Iceberg tables of a catalog that the Spark session knows, partitioned by day."""

    def __init__(self, spark: SparkSession, catalog: str, namespace: str) -> None:
        self._spark, self._space = spark, f"{catalog}.{namespace}"
        spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {self._space}")

    def table(self, name: str) -> DataFrame | None:
        full = f"{self._space}.{name}"
        return self._spark.table(full) if self._spark.catalog.tableExists(full) else None

    def add(self, name: str, rows: DataFrame) -> None:
        full = f"{self._space}.{name}"
        if self._spark.catalog.tableExists(full):
            rows.writeTo(full).append()
        else:
            rows.writeTo(full).using("iceberg").partitionedBy(F.col(DAY)).create()


def keep(lake: Lake, wide: DataFrame) -> dict[str, int]:
    """Add what is not in the lake yet, the manifest last; rows added by table."""
    kinds = {row[KIND]: row["count"] for row in wide.groupBy(KIND).count().collect()}
    added = {}
    for name in LAKE:
        if not kinds.get(name):
            continue
        rows = wide.where(F.col(KIND) == name).select(*KEYS, DAY, f"{name}.*")
        there = lake.table(name)
        if there is not None:
            keys = list(_MANIFEST_KEYS if name == MANIFEST else KEYS)
            rows = rows.join(there.select(*keys), on=keys, how="left_anti").select(*rows.columns)
        # Counted before it is written: afterwards the same rows would be there already.
        rows = rows.persist()
        added[name] = rows.count()
        if added[name]:
            lake.add(name, rows)
        rows.unpersist()
    return {name: count for name, count in added.items() if count}


def changed(lake: Lake, wide: DataFrame) -> list[str]:
    """Objects that say something else now in a place that is in the lake already; their new text is not taken."""
    there = lake.table("raw_message")
    if there is None:
        return []
    new = wide.where(F.col(KIND) == "raw_message").select(*KEYS, F.col("raw_message.sha256").alias("now"))
    both = new.join(there.select(*KEYS, "sha256"), on=list(KEYS)).where(F.col("now") != F.col("sha256"))
    return sorted(row["src_file"] for row in both.select("src_file").distinct().collect())


def manifest(lake: Lake) -> list[dict[str, Any]]:
    """Every object in the lake: name, feed, size, content hash and when it was seen (UTC ns)."""
    rows = lake.table(MANIFEST)
    if rows is None:
        return []
    return [row.asDict() for row in rows.select("src_file", "feed", "size", "file_id", SEEN).collect()]


def whole(lake: Lake, names: Sequence[str]) -> DataFrame | None:
    """All rows of the named objects in one shape (`WIDE`), None when the lake is empty."""
    found: DataFrame | None = None
    for name in LAKE:
        rows = lake.table(name)
        if rows is None:
            continue
        own = F.struct(*(F.col(column) for column in LAKE_SCHEMAS[name].names))
        part = rows.where(F.col("src_file").isin(list(names))).select(
            F.lit(name).alias(KIND), *KEYS, DAY, own.alias(name)
        )
        found = part if found is None else found.unionByName(part, allowMissingColumns=True)
    if found is None:
        return None
    have = set(found.columns)
    missing = {f.name: F.lit(None).cast(_type(f.type)) for f in WIDE if f.name not in have}
    return found.withColumns(missing).select(*WIDE.names) if missing else found.select(*WIDE.names)


def _keys_ddl() -> str:
    return ddl(pa.schema([WIDE.field(name) for name in (*KEYS, DAY)]))
