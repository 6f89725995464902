"""Profiles: a handful of default addresses under one name, and which schemes each port knows."""

from ingest.streams.kafka_settings import EXAMPLE as KAFKA_EXAMPLE
from warehouse.snowflake_settings import EXAMPLE as SNOWFLAKE_EXAMPLE

PROFILES: dict[str, dict[str, str]] = {
    "embedded": {
        "stream": "segment://",
        "engine": "embedded://",
        "warehouse": "duckdb://",
        "model": "inprocess://",
        "tickets": "embedded://",
    },
    "local-aws": {
        "stream": "kinesis://tieout-raw",
        "engine": "embedded://",
        "warehouse": "duckdb://",
        "model": "inprocess://",
        "tickets": "embedded://",
    },
    # The broker compose and `make kafka-up` start; its topic is made at the first start.
    "kafka": {
        "stream": "kafka://127.0.0.1:9092/tieout-raw?partitions=4",
        "engine": "embedded://",
        "warehouse": "duckdb://",
        "model": "inprocess://",
        "tickets": "embedded://",
    },
    # The engine is embedded and the warehouse DuckDB unless told (docs/engine.md, docs/snowflake.md).
    "aws": {
        "stream": "kinesis://tieout-raw",
        "engine": "embedded://",
        "warehouse": "duckdb://",
        "model": "sagemaker://tieout-break-scorer",
        "tickets": "servicenow://",
    },
}

# Names of the environment that belong to the tests.
NO_SETTINGS = {"TIEOUT_SNOWFLAKE_LIVE"}

SCHEMES = {
    "stream": {"segment", "kinesis", "kafka"},
    "engine": {"embedded", "stepfunctions"},
    "ledger": {"sqlite", "dynamodb"},
    "warehouse": {"duckdb", "snowflake"},
    "model": {"inprocess", "sagemaker", "http", "https"},
    "tickets": {"embedded", "servicenow"},
}


NEEDS_HOST = {
    "servicenow": "servicenow://acme.service-now.com",
    "sagemaker": "sagemaker://tieout-break-scorer",
    "kinesis": "kinesis://tieout-raw",
    "kafka": KAFKA_EXAMPLE,
    "dynamodb": "dynamodb://tieout-ledger",
    "snowflake": SNOWFLAKE_EXAMPLE,
    "http": "http://127.0.0.1:8081",
    "https": "https://scorer.example",
}
