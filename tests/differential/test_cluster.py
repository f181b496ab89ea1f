"""The same writes and queries to a real InfluxDB 1.6.7 and to a cluster of three data nodes: the answers are equal byte for
byte whatever the replication factor, whichever node is asked, and also while a node is down.

What may differ is told in pair.py. With a node down, statements that only it could answer are not asked: there are none
where every shard has a second owner.
"""

import re

import pytest
import random_statements
from cluster import Cluster
from datasets import DATASETS
from pair import Pair
from queries import cases
from schemas import random_dataset

SEEDS = range(1, 7)
STATEMENTS_PER_SEED = 40
# Replication factor, and how many of the three data nodes are down while queries are asked.
SHAPES = [(1, 0), (2, 1), (3, 1)]


class Copied(Pair):
    """Databases have so many copies of each shard; both servers are told, and one of them has a use for it."""

    def __init__(self, influxdb_url, skywatch_url, copies):
        super().__init__(influxdb_url, skywatch_url)
        self.copies = copies

    def load(self, dataset):
        alter = f'ALTER RETENTION POLICY "autogen" ON "{dataset.name}" REPLICATION 1'
        for statement in [f'CREATE DATABASE "{dataset.name}"', alter, *dataset.setup]:
            copied = re.sub(r"REPLICATION \d+", f"REPLICATION {self.copies}", statement)
            for url, text in zip(self.urls, [statement, copied], strict=True):
                answer = self.session.post(f"{url}/query", data={"q": text}, timeout=60).json()
                assert answer == {"results": [{"statement_id": 0}]}, f"{text}: {answer}"
        for request in dataset.requests:
            body, policy = request if isinstance(request, tuple) else (request, "")
            answer = self.write(body, db=dataset.name, rp=policy)
            assert answer.status == 204, answer


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: f"RF{shape[0]}-{shape[1]}down")
def pair(request, influxd, skywatch_bin, tmp_path_factory):
    """InfluxDB and a data node that has written nothing itself, every data set written to both."""
    copies, down = request.param
    cluster = Cluster(skywatch_bin, tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start(metas=1, data=3)
        both = Copied(influxd.url, cluster.data[0].url, copies)
        both.drop_everything()
        for dataset in [*DATASETS, *(random_dataset(seed)[0] for seed in SEEDS)]:
            both.load(dataset)
        for node in cluster.data[:down]:
            node.kill()
        both.urls[1] = cluster.data[2].url
        yield both
    finally:
        cluster.stop()


# Statements whose answer names copies, or shards by number: a cluster has others.
ABOUT_COPIES = ("SHOW RETENTION", "SHOW SHARD", "SHOW STATS", "SHOW DIAGNOSTICS")


def about_copies(statement):
    return any(words in statement.upper() for words in ABOUT_COPIES)


@pytest.mark.parametrize(
    "case", [case for case in cases() if not about_copies(case.text)], ids=str
)
def test_written_by_hand(pair, case):
    """Every line of queries/*.iql."""
    pair.query(case.text, db=case.db, **dict(case.params))


@pytest.mark.parametrize("seed", SEEDS)
def test_random(pair, seed):
    """Random statements, of a random schema and of the fixed ones."""
    found = random_statements.differences(pair, seed, STATEMENTS_PER_SEED)
    random_statements.check(
        [difference for difference in found if not about_copies(difference.asked)], STATEMENTS_PER_SEED
    )
