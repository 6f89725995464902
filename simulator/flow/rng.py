"""One random generator per stage: a change in one stage leaves the draws of the others alone."""

from zlib import crc32

from numpy.random import PCG64, Generator, SeedSequence


def rng(seed: int, day: int, stage: str) -> Generator:
    """The generator of `stage` on `day` (days since 1970); the same arguments give the same draws."""
    return Generator(PCG64(SeedSequence([seed, day, crc32(stage.encode())])))
