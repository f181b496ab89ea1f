"""Random statements, the same for a seed every time: of its random schema and of the fixed ones."""

from generator import Generator
from schemas import random_dataset
from sources import FIXED

PER_REQUEST = 10


def differences(pair, seed, statements, epochs=(None,)):
    """What the pair's servers answer differently to so many statements; all are asked before any difference is told."""
    generator = Generator(seed)
    _, sources = random_dataset(seed)
    found = []
    for number in range(statements // PER_REQUEST):
        # One request asks one database.
        source = generator.one_of(*FIXED)
        here = sources if number % 3 else [source]
        texts = [generator.statement(generator.one_of(*here)) for _ in range(PER_REQUEST)]
        found += pair.queries(texts, db=here[0].db, epoch=epochs[number % len(epochs)])
    return found


def check(found, statements):
    """Fails if there are differences, and shows the first ones."""
    told = "\n\n".join(str(difference) for difference in found[:5])
    assert not found, f"{len(found)} of {statements} differ\n{told}"
