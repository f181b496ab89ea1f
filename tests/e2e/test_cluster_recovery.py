"""Meta nodes lost for good: `skywatch recover-meta`, from what is left on a meta node's disk or with data nodes."""

import re
import shutil
import subprocess

from checker import Load, check_replicas
from conftest import wait_until


def recover(meta, *arguments, check=True):
    """Runs `skywatch recover-meta` for a meta node that does not run, with its configuration."""
    command = [meta.command[0], "recover-meta", "--config", meta.config_file, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def lose(node):
    """Kills a node and takes its disk away."""
    node.kill()
    shutil.rmtree(node.directory / "meta")


def catalogue_of(node):
    """What a data node says about everything in it."""
    return {
        "databases": sorted(node.query("SHOW DATABASES")["results"][0]["series"][0]["values"]),
        "queries": node.query("SHOW CONTINUOUS QUERIES")["results"],
        "users": node.query("SHOW USERS")["results"],
        "shards": node.query("SHOW SHARDS")["results"],
    }


def furnish(cluster):
    """A cluster with something of everything."""
    first = cluster.data[0]
    first.query("CREATE DATABASE db WITH REPLICATION 2")
    first.query("CREATE USER reader WITH PASSWORD 'secret'")
    first.query("GRANT READ ON db TO reader")
    first.query("CREATE CONTINUOUS QUERY cq ON db BEGIN SELECT mean(v) INTO out FROM m GROUP BY time(1m) END")
    assert first.write("\n".join(f"m,host=h{n % 7} v={n} {n}000000000" for n in range(500))).status_code == 204
    cluster.settle()
    return catalogue_of(first)


def changes_are_made(cluster, name):
    """Waits until the catalogue can be changed from every data node."""

    def made(node):
        return "error" not in node.query(f"CREATE DATABASE {name}{node.id}")["results"][0]

    for node in cluster.data:
        wait_until(lambda node=node: made(node), f"a change by node {node.id}", 30)


def test_a_survivor_of_three_begins_anew_while_points_are_written(start_cluster):
    cluster = start_cluster(metas=3, data=2)
    known = furnish(cluster)
    survivor, *lost = cluster.metas
    cluster.data[0].query("CREATE DATABASE load WITH REPLICATION 2")
    load = Load(cluster.data, "load", seed=3)
    with load:
        # Groups are there by then: new ones have to wait for meta nodes.
        load.more(writes=50)
        for meta in lost:
            lose(meta)
        wait_until(lambda: survivor.status().get("leader", "") == "", "the survivor to know of no leader", 30)
        refused = recover(survivor, "--yes", check=False)
        assert refused.returncode == 1 and "stop the meta node first" in refused.stderr, refused.stderr
        assert survivor.stop() == 0
        unsure = recover(survivor, check=False)
        assert unsure.returncode == 1 and "not confirmed, nothing was changed" in unsure.stderr, unsure.stderr
        done = recover(survivor, "--yes")
        assert f"The cluster begins anew with one meta node, {survivor.http}" in done.stdout
        assert all(meta.http in done.stdout for meta in lost)
        aside = re.search(r"What was there is now (.*raft\.redb\.before-.*)\.\n", done.stdout).group(1)
        assert (survivor.directory / "meta" / aside.rsplit("/", 1)[1]).is_file()
        survivor.start()
        changes_are_made(cluster, "after")
        for meta in lost:
            meta.start()
            cluster.add_meta(meta)
        again = recover(lost[0], "--from", cluster.data[0].tcp, "--yes", check=False)
        assert again.returncode == 1 and "stop the meta node first" in again.stderr, again.stderr
    check_replicas(load, cluster)
    assert {node.id: len(node.rows("SELECT * FROM m", node_id=node.id)) for node in cluster.data} == {
        node.id: 500 for node in cluster.data
    }
    now = catalogue_of(cluster.data[0])
    assert now["users"] == known["users"] and now["queries"][0]["series"][0] in known["queries"][0]["series"]
    shown = cluster.ctl("show")
    assert all(meta.http in shown for meta in cluster.metas)
    # It is a cluster of three again: it bears the loss of the one that began it.
    survivor.kill()
    changes_are_made(cluster, "more")


def test_all_meta_nodes_are_lost_and_a_new_one_begins_from_the_data_nodes(start_cluster):
    cluster = start_cluster(metas=1, data=2)
    known = furnish(cluster)
    away, here = cluster.data
    away.stop()
    here.query("CREATE DATABASE late")
    lose(cluster.metas[0])
    new = cluster.new_meta()
    new.launch()
    new.started()
    assert new.stop() == 0
    nothing = recover(new, "--yes", check=False)
    assert "no catalogue is left here" in nothing.stderr, nothing.stderr
    nowhere = recover(new, "--from", "/nowhere", check=False)
    assert "no such file or directory" in nowhere.stderr, nowhere.stderr
    silent = recover(new, "--from", here.tcp, "--yes", check=False)
    assert f"--without {away.tcp}" in silent.stderr, silent.stderr
    # What the node that is away knows is on its disk, and is older.
    done = recover(new, "--from", here.tcp, "--from", str(away.directory / "data"), "--without", away.tcp, "--yes")
    assert re.search(rf"\* +\d+  data node {here.tcp}: 2 databases, 1 shard, 1 user", done.stdout), done.stdout
    assert f"add-data {here.tcp}" in done.stdout and f"add-data {away.tcp}" in done.stdout
    new.start()
    away.start()
    cluster.metas.remove(cluster.metas[0])
    for node in (here, away):
        assert f"Added data node {node.id} at {node.tcp}" in cluster.ctl("add-data", node.tcp)
    changes_are_made(cluster, "after")
    cluster.settle()
    now = catalogue_of(here)
    assert ["late"] in now["databases"] and now["users"] == known["users"]
    assert catalogue_of(away) == now
    for node in cluster.data:
        assert len(node.rows("SELECT * FROM m", node_id=node.id)) == 500
        # A restart finds the meta node again.
        node.restart()
    changes_are_made(cluster, "again")


def test_a_cluster_that_is_led_is_not_begun_anew(start_cluster):
    cluster = start_cluster(metas=3, data=1)
    cluster.metas[2].stop()
    leader = cluster.leader()
    refused = recover(cluster.metas[2], "--yes", check=False)
    assert refused.returncode == 1 and "there is nothing to recover" in refused.stderr, refused.stderr
    assert f"ctl -bind {leader.http} remove-meta -force" in refused.stderr
    cluster.metas[2].start()
    changes_are_made(cluster, "after")
