"""`skywatch ctl` against real nodes: membership, shards, labels, repairs, backups, and what goes wrong."""

import re
import subprocess
import time

from cluster import unused_ports
from conftest import wait_until

WEEK_NS = 168 * 3_600_000_000_000
HEADER = "ID  Database  Retention Policy  Desired Replicas  Shard Group  Start"


def influxd_ctl(skywatch_bin, tmp_path):
    """The binary under the other program's name."""
    link = tmp_path / "influxd-ctl"
    if not link.exists():
        link.symlink_to(skywatch_bin)
    return link


def table(text, title):
    """The rows of a table of `show`, cells without their padding."""
    lines = text.split(f"{title}\n==========\n")[1].split("\n\n")[0].splitlines()
    return [re.split(r"\t+", line) for line in lines]


def shards(cluster):
    """What `show-shards` prints: number of a shard, and its owners' numbers."""
    lines = cluster.ctl("show-shards").splitlines()
    assert lines[0] == "Shards" and lines[1] == "=========="
    return {
        int(line.split()[0]): [int(number) for number in re.findall(r"\{ID:(\d+) TCPAddr:", line)]
        for line in lines[3:]
    }


def write_weeks(node, weeks, db="db", count=50):
    """Points in so many shard groups; shards are numbered in the order of time."""
    for week in range(weeks):
        lines = [f"m,host=h{n % 5} v={n}i {week * WEEK_NS + n * 1_000_000_000}" for n in range(count)]
        answer = node.write("\n".join(lines), db=db)
        assert answer.status_code == 204, answer.text


def has(node, rows, db="db"):
    """Whether a query to this node gives these rows; while it holds only a part it may answer with an error."""
    result = node.query("SELECT * FROM m", db=db)["results"][0]
    return result.get("series", [{}])[0].get("values", []) == rows


def two_nodes_with_a_part_each(start_cluster):
    """A cluster, the rows of its database, and the shard that only the second data node has."""
    cluster = start_cluster(metas=1, data=1)
    first = cluster.data[0]
    first.query("CREATE DATABASE db WITH REPLICATION 1")
    write_weeks(first, weeks=3)
    rows = first.rows("SELECT * FROM m")
    assert len(rows) == 150
    second = cluster.add_data(cluster.new_data().start())
    cluster.settle()
    shard = min(shards(cluster))
    copied = cluster.ctl("copy-shard", first.tcp, second.tcp, str(shard))
    assert copied == f"Copied shard {shard} from {first.tcp} to {second.tcp}\n"
    assert shards(cluster)[shard] == [first.id, second.id]
    removed = cluster.ctl("remove-shard", first.tcp, str(shard))
    assert removed == f"Removed shard {shard} from {first.tcp}\n"
    assert shards(cluster)[shard] == [second.id]
    return cluster, rows, shard


def test_a_cluster_is_formed_and_shown(start_cluster, skywatch_bin, tmp_path):
    cluster = start_cluster(metas=3, data=2)
    shown = cluster.ctl("show")
    data, metas = table(shown, "Data Nodes"), table(shown, "Meta Nodes")
    assert data[0] == metas[0] == ["ID", "TCP Address", "Version"]
    assert [row[:2] for row in data[1:]] == [["4", cluster.data[0].tcp], ["5", cluster.data[1].tcp]]
    assert [row[:2] for row in metas[1:]] == [[str(n + 1), meta.http] for n, meta in enumerate(cluster.metas)]

    def told():
        """Whether everybody has said what runs there."""
        text = cluster.ctl("show")
        return all(any(row[2:]) for kind in ("Data Nodes", "Meta Nodes") for row in table(text, kind)[1:])

    wait_until(told, "the versions of nodes that have just joined", 5)
    # The same from every meta node, and from the binary under the other name.
    link = influxd_ctl(skywatch_bin, tmp_path)
    for meta in cluster.metas:
        assert table(cluster.ctl("show", bind=meta.http), "Data Nodes")[1:][0][:2] == data[1][:2]
        done = subprocess.run([link, "-bind", meta.http, "show"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and table(done.stdout, "Meta Nodes")[0] == metas[0], done

    # Once more is no error, and gives the same number.
    assert cluster.ctl("add-meta", cluster.metas[1].http) == f"Added meta node 2 at {cluster.metas[1].http}\n"
    assert cluster.ctl("add-data", cluster.data[1].tcp) == f"Added data node 5 at {cluster.data[1].tcp}\n"

    verbose = cluster.ctl("show", "-v")
    assert table(verbose, "Data Nodes")[0] == ["ID", "TCP Address", "HTTP Address", "Version", "Labels", "Passive"]
    status = dict(re.findall(r"^(Leader|Peers)\t(.*)$", verbose, re.M))
    assert status["Leader"] == cluster.leader().raft
    assert all(meta.raft in status["Peers"] or meta.raft == status["Leader"] for meta in cluster.metas)

    labels = '{"rack":"r1","dc":"east"}'
    cluster.ctl("node-labels", "set", "-nodeid", "4", "-labels", labels)
    cluster.ctl("node-labels", "delete", "-nodeid", "4", "-labels", '["dc"]')
    assert table(cluster.ctl("show", "-v"), "Data Nodes")[1][-2] == '{"rack":"r1"}'

    # Labels are to be read by people, and a form that is too long is told as such.
    for labels, words in (
        (r'{"rack":"r\n1"}', 'label "rack": its value has a control character'),
        ('{"%s":"r1"}' % ("n" * 129), "its name has 129 bytes, at most 128 are taken"),
        ('{"rack":"%s"}' % ("r" * 70_000), "bytes, at most 60000 are taken"),
    ):
        wrong = cluster.try_ctl("node-labels", "set", "-nodeid", "4", "-labels", labels)
        assert wrong.returncode == 1 and words in wrong.stderr, wrong.stderr[:500]
    assert table(cluster.ctl("show", "-v"), "Data Nodes")[1][-2] == '{"rack":"r1"}'

    # A follower passes on what only the leader does.
    follower = next(meta for meta in cluster.metas if meta is not cluster.leader())
    assert cluster.ctl("truncate-shards", bind=follower.http) == "Truncated shards.\n"

    # The kinds of nodes are told apart before anything happens.
    wrong = cluster.try_ctl("add-data", cluster.metas[0].http)
    assert wrong.returncode == 1 and "is a meta node, not a data node" in wrong.stderr, wrong
    wrong = cluster.try_ctl("add-data", "bad addr")
    assert wrong.returncode == 1 and '"bad addr:8088" is no address of a node' in wrong.stderr, wrong
    unknown = cluster.try_ctl("remove-data", "127.0.0.1:1")
    assert unknown.returncode == 1
    assert unknown.stderr == "remove-data: operation exited with error: node not found: 127.0.0.1:1\n"


def test_shards_are_shown_cut_copied_and_removed(start_cluster):
    cluster, rows, shard = two_nodes_with_a_part_each(start_cluster)
    first, second = cluster.data
    shown = cluster.ctl("show-shards")
    assert shown.splitlines()[2].startswith(HEADER)
    assert shards(cluster) == {shard: [second.id], **{n: [first.id] for n in shards(cluster) if n != shard}}
    verbose = cluster.ctl("show-shards", "-v")
    assert re.search(r"State:(hot|cold) LastModified:\d{4}-\S+Z Size:\d+ Err:nil", verbose), verbose
    # Every point of the shard is where it went.
    week = "SELECT * FROM m WHERE time < '1970-01-05T00:00:00Z'"
    assert second.rows(week) == [row for row in rows if row[0] < "1970-01-05"] != []

    refused = cluster.try_ctl("remove-shard", second.tcp, str(shard))
    assert refused.returncode == 1 and "the only copy of shard" in refused.stderr, refused
    missing = cluster.try_ctl("copy-shard", first.tcp, second.tcp, "999")
    assert missing.stderr == "copy-shard: operation exited with error: shard not found for id: 999\n"
    killed = cluster.try_ctl("kill-copy-shard", second.tcp, first.tcp, str(shard))
    assert killed.returncode == 1 and f"no copy of shard {shard}" in killed.stderr, killed
    assert cluster.ctl("copy-shard-status").splitlines() == [
        "Source  Dest  Database  Policy  ShardID  TotalSize  CurrentSize  StartedAt"
    ]

    # Cut short from now on: the end is shown with an asterisk, and the next write begins a new group.
    first.write(f"m,host=h1 v=1i {time.time_ns()}")
    cluster.ctl("truncate-shards", "-delay", "0s")
    assert re.search(r"\d{4}-\d\d-\d\dT[0-9:.]+Z\*", cluster.ctl("show-shards"))
    known = set(shards(cluster))
    first.write(f"m,host=h1 v=2i {time.time_ns() + 1_000_000_000}")
    assert set(shards(cluster)) > known

    assert cluster.ctl("entropy", "show").splitlines()[:2] == ["Entropy", "=========="]
    assert cluster.ctl("entropy", "repair", str(shard)) == f"Repair Shard {shard} queued\n"
    unknown = cluster.try_ctl("entropy", "repair", "999")
    assert unknown.stderr == "entropy repair: operation exited with error: shard not found for id: 999\n"


def test_without_a_quorum_it_says_so_promptly(start_cluster):
    cluster = start_cluster(metas=3, data=1)
    survivor, *others = cluster.metas
    for meta in others:
        meta.kill()
    began = time.monotonic()
    done = cluster.try_ctl("truncate-shards", bind=survivor.http)
    assert done.returncode == 1 and "no leader" in done.stderr, done
    assert time.monotonic() - began < 15
    nobody = cluster.try_ctl("show", bind=others[0].http)
    assert nobody.returncode == 1 and "cannot reach the meta node at" in nobody.stderr, nobody
    # The next address is tried.
    assert "Data Nodes" in cluster.ctl("show", bind=f"{others[0].http},{survivor.http}")

    # What it knows it tells all the same, and that it may be old.
    wait_until(lambda: cluster.try_ctl("show", bind=survivor.http).stderr, "the loss to be noticed")
    for command in ("show", "show-shards", "show-lag", "entropy show", "copy-shard-status"):
        done = cluster.try_ctl(*command.split(), bind=survivor.http)
        assert done.returncode == 0 and done.stdout, done
        said = f"{command}: no leader: 1 of 3 meta nodes answer, 2 are needed: start the others; this is what {survivor.http} knew "
        assert re.fullmatch(re.escape(said) + r"\d+ s ago\n", done.stderr), done
    # One that knows a leader is asked rather than one that does not.
    for meta in others:
        meta.start()
    wait_until(lambda: not cluster.try_ctl("show-shards", bind=survivor.http).stderr, "a leader")


def test_entropy_is_shown_as_soon_as_a_node_was_added(start_cluster):
    cluster = start_cluster(metas=1, data=1)
    late = cluster.new_data().start()
    cluster.ctl("add-data", late.tcp)
    done = cluster.try_ctl("entropy", "show")
    assert (done.returncode, done.stderr) == (0, ""), done
    # One that does not answer for longer is named.
    late.kill()
    done = cluster.try_ctl("entropy", "show")
    assert done.returncode == 1 and done.stdout.startswith("Entropy\n"), done
    assert "entropy show: nothing is known of data node" in done.stderr and late.tcp in done.stderr, done


def test_errors_of_backups_look_like_those_of_other_commands(skywatch_bin, tmp_path):
    nobody = f"127.0.0.1:{unused_ports(1)[0]}"
    absent, below = str(tmp_path / "absent"), str(tmp_path / "file" / "below")
    (tmp_path / "file").write_text("")
    unreachable = f"cannot reach the meta node at {nobody}: connection refused; "
    for command, code, begin in (
        (["-bind", nobody, "show"], 1, f"show: {unreachable}"),
        (["-bind", nobody, "backup", absent], 1, f"backup: {unreachable}"),
        (["-bind", nobody, "restore", absent], 1, f"restore: {unreachable}"),
        (["-bind", nobody, "-auth-type", "x", "show"], 1, "invalid -auth-type: x\n"),
        (["-bind", nobody, "-auth-type", "x", "backup", absent], 1, "invalid -auth-type: x\n"),
        (["backup", "--url", f"http://{nobody}", absent], 1, f"backup: cannot reach http://{nobody}: "),
        (["backup", "verify", absent], 1, f"backup: {absent} holds no backup; "),
        (["backup", "verify", below], 1, "backup: "),
        (["restore", "--list", absent], 1, f"restore: {absent} holds no backup; "),
        (["show", "-nope"], 2, "show: flag provided but not defined: -nope\n"),
        (["backup", "-nope", absent], 2, "backup: unexpected argument '--nope' found\n"),
        (["restore"], 2, "restore: the following required arguments were not provided:\n"),
        (["-bind", nobody, "-timeout", "soon", "backup", absent], 2, 'backup: invalid value "soon" for flag -timeout'),
    ):
        done = subprocess.run([skywatch_bin, "ctl", *command], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr[: len(begin)]) == (code, begin), done
        assert "error: " not in done.stderr and done.stderr.count("(os error") <= 1, done


def test_nodes_leave(start_cluster):
    cluster = start_cluster(metas=3, data=2)
    first, second = cluster.data
    first.query("CREATE DATABASE db WITH REPLICATION 2")
    write_weeks(first, weeks=2)
    rows = first.rows("SELECT * FROM m")

    assert cluster.ctl("remove-data", second.tcp) == f"Removed data node at {second.tcp}\n"
    assert [row[0] for row in table(cluster.ctl("show"), "Data Nodes")[1:]] == [str(first.id)]
    assert has(first, rows)
    refused = cluster.try_ctl("remove-data", first.tcp)
    assert refused.returncode == 1 and "holds the only copy of" in refused.stderr, refused

    # One that is down is removed only if that is what is meant, and until then nothing has changed.
    third = cluster.add_data(cluster.new_data().start())
    third.kill()
    told = cluster.try_ctl("remove-data", third.tcp)
    assert told.returncode == 1 and "does not answer, nothing was changed" in told.stderr, told
    assert table(cluster.ctl("show"), "Data Nodes")[-1][0] == str(third.id)
    assert cluster.ctl("remove-data", "-force", third.tcp) == f"Removed data node at {third.tcp}\n"
    assert [row[0] for row in table(cluster.ctl("show"), "Data Nodes")[1:]] == [str(first.id)]
    assert has(first, rows)

    leaving = cluster.metas[2]
    assert cluster.ctl("remove-meta", "-y", leaving.http) == f"Removed meta node at {leaving.http}\n"
    shown = cluster.ctl("show", bind=cluster.metas[0].http)
    assert [row[1] for row in table(shown, "Meta Nodes")[1:]] == [meta.http for meta in cluster.metas[:2]]
    other = cluster.metas[1]
    asked = cluster.try_ctl("remove-meta", "-force", "-tcpAddr", other.raft, other.http)
    assert asked.returncode == 1 and "not confirmed" in asked.stderr, asked


def test_a_copy_to_a_frozen_node_is_given_up_and_goes_on_when_it_is_back(start_cluster):
    cluster, rows, shard = two_nodes_with_a_part_each(start_cluster)
    first, second = cluster.data
    other = max(shards(cluster))
    assert other != shard
    second.freeze()
    try:
        began = time.monotonic()
        told = cluster.try_ctl("-timeout", "5s", "copy-shard", first.tcp, second.tcp, str(other))
        assert told.returncode == 1 and time.monotonic() - began < 25, told
        waiting, given_up = told.stderr.splitlines()
        assert waiting.startswith(f"waiting for the data node at {second.tcp}: "), told
        assert f"the data node at {second.tcp} did not answer within 5s (-timeout)" in given_up, told
        status = cluster.try_ctl("copy-shard-status")
        assert f"of the copy of shard {other} to {second.tcp} nothing is known: " in status.stderr, status
    finally:
        second.thaw()
    copied = cluster.ctl("copy-shard", first.tcp, second.tcp, str(other))
    assert copied == f"Copied shard {other} from {first.tcp} to {second.tcp}\n"
    assert cluster.try_ctl("copy-shard-status").stderr == ""
    assert has(second, rows)


def test_a_new_meta_node_that_is_asked_to_add_one_of_a_cluster_begins_none(start_cluster):
    cluster = start_cluster(metas=2, data=0)
    member, new = cluster.metas[0], cluster.new_meta().start()
    refused = cluster.try_ctl("add-meta", member.http, bind=new.http)
    assert refused.returncode == 1 and f'meta node at "{member.http}" is a member of another cluster' in refused.stderr
    assert new.status()["peers"] == [] and table(cluster.ctl("show", bind=new.http), "Meta Nodes")[1:] == []
    assert cluster.ctl("add-meta", new.http) == f"Added meta node 3 at {new.http}\n", "it is free to be added"
    in_order = [meta.raft for meta in cluster.metas]
    wait_until(lambda: all(meta.status()["peers"] == in_order for meta in cluster.metas), "peers as they are numbered")


def test_a_data_node_is_known_by_its_ipv6_address(start_cluster):
    cluster = start_cluster(metas=1, data=1)
    http, tcp = (f"[::1]:{port}" for port in unused_ports(2))
    node = cluster.new_data({"hostname": "::1", "bind-address": tcp, "http": {"bind-address": http}})
    node.http, node.tcp, node.url = http, tcp, f"http://{http}"
    cluster.add_data(node.start())
    cluster.settle()
    data_nodes = table(cluster.ctl("show", "-v"), "Data Nodes")
    assert data_nodes[-1][1:3] == [tcp, http]
    cluster.data[0].query("CREATE DATABASE db WITH REPLICATION 2")
    write_weeks(cluster.data[0], weeks=1)
    assert has(node, cluster.data[0].rows("SELECT * FROM m"))
    assert cluster.ctl("remove-data", tcp) == f"Removed data node at {tcp}\n"


def test_a_copy_from_a_frozen_node_is_given_up_and_goes_on_when_it_is_back(start_cluster):
    cluster, rows, _ = two_nodes_with_a_part_each(start_cluster)
    first, second = cluster.data
    shard = max(shards(cluster))
    first.freeze()
    try:
        began = time.monotonic()
        told = cluster.try_ctl("-timeout", "5s", "copy-shard", first.tcp, second.tcp, str(shard))
        assert told.returncode == 1 and time.monotonic() - began < 40, told
        waiting, given_up = told.stderr.splitlines()
        assert waiting.startswith(f"shard {shard} does not get to the data node at {second.tcp}: "), told
        assert first.tcp in waiting, "and who is to be looked at"
        assert f"shard {shard} did not get to the data node at {second.tcp} within 5s (-timeout): " in given_up, told
        assert f"shard {shard} does not get to {second.tcp}: " in cluster.try_ctl("copy-shard-status").stderr
    finally:
        first.thaw()
    copied = cluster.ctl("copy-shard", first.tcp, second.tcp, str(shard))
    assert copied == f"Copied shard {shard} from {first.tcp} to {second.tcp}\n"
    assert cluster.try_ctl("copy-shard-status").stderr == ""
    assert has(second, rows)


def test_a_cluster_is_backed_up_and_restored_whole(start_cluster, skywatch_bin, tmp_path):
    cluster, rows, shard = two_nodes_with_a_part_each(start_cluster)
    first, second = cluster.data

    def ctl(*arguments, code=0):
        command = [str(skywatch_bin), "ctl", "-bind", cluster.metas[0].http, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    directory = tmp_path / "backup"
    assert ctl("backup", "-db", "db", "-estimate", directory).startswith("1 databases: ")
    assert not directory.exists()
    # One node has a part of it and does not pass that off as all.
    part = subprocess.run(
        [skywatch_bin, "ctl", "backup", "--url", first.url, directory], capture_output=True, text=True, timeout=60
    )
    assert part.returncode == 1 and f"data node {first.id} of a cluster" in part.stderr, part

    ctl("backup", "-strategy", "full", "-db", "db", "--verify", directory)
    again = ctl("backup", "-strategy", "incremental", "-db", "db", directory)
    assert "contradict" in ctl("backup", "-full", "-strategy", "incremental", directory, code=1)
    total, copied = map(int, re.search(r": (\d+) files, \d+ bytes; copied (\d+) files", again).groups())
    assert copied < total, again
    assert "databases: db" in ctl("restore", "-list", directory)
    # A backup of another database takes the place of none of this one, and this one is found behind it.
    first.query("CREATE DATABASE beside")
    ctl("backup", "-db", "beside", directory)
    assert len(ctl("restore", "-list", directory).splitlines()) == 2
    assert "exists already" in ctl("restore", "-db", "db", directory, code=1)

    # The node that is sent the files has all of it at once, the other when it has copied them, unasked.
    before = set(shards(cluster))
    ctl("restore", "-full", "-db", "db", "-newdb", "other", "-newrf", 2, directory)
    restored = {shard: owners for shard, owners in shards(cluster).items() if shard not in before}
    assert len(restored) == 3, restored
    assert any(has(node, rows, "other") for node in cluster.data)
    both = sorted(node.id for node in cluster.data)
    wait_until(
        lambda: all(sorted(owners) == both for n, owners in shards(cluster).items() if n in restored),
        "every restored shard to have two owners",
        seconds=60,
    )
    for node in cluster.data:
        wait_until(lambda node=node: has(node, rows, "other"), "both nodes to hold what was restored", seconds=60)
    policies = first.query("SHOW RETENTION POLICIES ON other")["results"][0]["series"][0]["values"]
    assert [policy[3] for policy in policies] == [2]
    # It takes writes as any other.
    assert first.write("m,host=h0 v=1000i 5", db="other").status_code == 204
    assert len(second.rows("SELECT * FROM m", db="other")) == 151

    # Of a range of time only its points come back, at every owner; the shards are those that may have any.
    first_time, last_time = "1970-01-08T00:00:10Z", "1970-01-15T00:00:19Z"
    ranged, of_times = ("-start", first_time, "-end", last_time), directory.with_name("times")
    ctl("backup", "-db", "db", *ranged, of_times)
    ctl("restore", "-db", "db", "-newdb", "times", "-newrf", 2, of_times)
    wanted = [row for row in rows if first_time <= row[0] <= last_time]
    assert len(wanted) == 60
    for node in cluster.data:
        wait_until(lambda node=node: has(node, wanted, "times"), "both nodes to hold points of the range", seconds=60)
    of_range = [n for n in shards(cluster) if n not in before and n not in restored]
    assert len(of_range) == 2, of_range
    wait_until(
        lambda: all(sorted(owners) == both for n, owners in shards(cluster).items() if n in of_range),
        "the shards of the range to have two owners",
        seconds=60,
    )

    # Without the second node there is a whole copy of one database, and none of the other.
    second.kill()
    told = ctl("backup", "-db", "db", directory, code=1)
    assert f"holds all of shard {shard}" in told and f"data node {second.id}: " in told, told
    ctl("backup", "-db", "other", directory)
    # Nor does what nobody holds keep the rest of its database from being backed up.
    held = [n for n, owners in shards(cluster).items() if n not in restored and first.id in owners]
    held = [n for n in held if n not in of_range]
    assert held and shard not in held, shards(cluster)
    for part in (["-shard", held[0]], ["-strategy", "only-meta"], ranged):
        ctl("backup", "-db", "db", *part, directory.with_name("rest"))
    told = ctl("backup", "-db", "db", "-shard", shard, directory, code=1)
    assert f"holds all of shard {shard}" in told, told
    told = ctl("backup", "-db", "db", "-shard", shard, *ranged, directory, code=1)
    assert f"shard {shard} has no points from {first_time} to {last_time}" in told, told


def test_whoever_is_named_is_who_is_meant(start_cluster, tmp_path):
    """Removed without being asked, moved under another name, frozen during a backup: nobody loses or waits for more than was said."""
    cluster = start_cluster(metas=1, data=2)
    first, second = cluster.data
    first.query("CREATE DATABASE db WITH REPLICATION 2")
    write_weeks(first, weeks=2)
    rows = first.rows("SELECT * FROM m")
    wait_until(lambda: has(second, rows), "both nodes to answer")

    # What the other one holds suffices, and the one that is frozen is not waited for, whichever of them that is, and whichever is
    # to be asked first.
    for frozen in cluster.data:
        cluster.ctl("backup", "-db", "db", "-from", frozen.tcp, str(tmp_path / f"of {frozen.id}"))
        frozen.freeze()
        try:
            began = time.monotonic()
            cluster.ctl("backup", "-db", "db", "-from", frozen.tcp, str(tmp_path / "backup"))
            assert time.monotonic() - began < 30
        finally:
            frozen.thaw()
        wait_until(frozen.is_ready, "the node that was frozen to be back")
    wait_until(second.is_ready, "the node that was frozen to be back")
    unknown = cluster.try_ctl("backup", "-from", "nobody:8088", str(tmp_path / "backup"))
    assert unknown.returncode == 1 and f"there are {first.tcp}, {second.tcp}" in unknown.stderr, unknown

    # A fresh node under a name that is not its own takes its own address with it, once.
    alias = second.tcp.replace("127.0.0.1", "localhost")
    moved = cluster.ctl("update-data", second.tcp, alias)
    assert moved == f"Updated data node {second.id} to {second.tcp}\n"
    assert [row[:2] for row in table(cluster.ctl("show"), "Data Nodes")[1:]] == [
        [str(node.id), node.tcp] for node in (first, second)
    ]
    assert has(second, rows)

    # Forced out, it keeps what it has, though it answers from the others only, and says so when it is to come back.
    cluster.ctl("remove-data", "-force", second.tcp)
    time.sleep(3)
    assert list((second.directory / "data").rglob("MANIFEST")), "its disk is as it was"
    assert has(second, rows)
    back = cluster.try_ctl("add-data", second.tcp)
    assert back.returncode == 1 and f"removed as data node {second.id} without being asked" in back.stderr, back
    assert has(first, rows)
