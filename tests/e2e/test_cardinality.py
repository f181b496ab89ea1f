"""Limits on cardinality: only points of new series over a limit are dropped, whatever else is in the request."""


def limited(start_skywatch, tmp_path, **limits):
    config = tmp_path / "skywatch.toml"
    config.write_text("[data]\n" + "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in limits.items()))
    server = start_skywatch("--config", str(config))
    server.query("CREATE DATABASE db")
    return server


def test_a_request_with_too_many_series_keeps_what_fits(start_skywatch, tmp_path):
    server = limited(start_skywatch, tmp_path, max_series_per_database=3)
    lines = [f"m,h={host} f=1 1" for host in "abcde"] + ["m,h=a f=2 2"]
    answer = server.write("\n".join(lines))
    expected = "partial write: max-series-per-database limit exceeded: (3) dropped=2"
    assert (answer.status_code, answer.json()) == (400, {"error": expected})
    assert answer.headers["X-Influxdb-Error"] == expected
    assert sorted(server.rows("SELECT f, h FROM m", epoch="ns")) == [[1, 1, "a"], [1, 1, "b"], [1, 1, "c"], [2, 2, "a"]]
    # After a crash the limit is the same.
    server.kill()
    server.start()
    assert server.write("m,h=c f=3 3").status_code == 204
    assert server.write("m,h=d f=3 3").json() == {"error": expected.replace("=2", "=1")}


def test_values_of_a_tag_are_limited_within_one_request(start_skywatch, tmp_path):
    server = limited(start_skywatch, tmp_path, max_values_per_tag=2)
    answer = server.write("\n".join(f"m,h={host} f=1 1" for host in "abcd"))
    reason = 'max-values-per-tag limit exceeded (2/2): measurement="m" tag="h" value="c"'
    assert (answer.status_code, answer.json()) == (400, {"error": f"partial write: {reason} dropped=2"})
    assert [row[1] for row in server.rows("SHOW TAG VALUES WITH KEY = h")] == ["a", "b"]
