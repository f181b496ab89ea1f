"""The agent's probes, against servers that answer and addresses where nobody does."""

from conftest import free_port, need
from test_agent_stack import gather


def test_web_servers_and_ports(skywatch, skywatch_bin, tmp_path):
    closed = free_port()
    lines, said = gather(skywatch_bin, tmp_path, f"""
[[inputs.http_response]]
  urls = ["{skywatch.url}/ping", "{skywatch.url}/query", "http://127.0.0.1:{closed}/"]
  response_status_code = 204
  [inputs.http_response.http_header_tags]
    X-Influxdb-Version = "version"
[[inputs.net_response]]
  protocol = "tcp"
  address = "127.0.0.1:{skywatch.http_port}"
  send = "GET /ping HTTP/1.0\\r\\n\\r\\n"
  expect = "204"
[[inputs.net_response]]
  protocol = "tcp"
  address = "127.0.0.1:{closed}"
""")
    assert " E! " not in said, said
    web = {tags["server"]: (tags, fields) for name, tags, fields in lines if name == "http_response"}
    tags, fields = web[f"{skywatch.url}/ping"]
    assert tags["result"] == "success" and tags["status_code"] == "204" and tags["version"]
    assert fields["response_status_code_match"] == "1i" and 0 < float(fields["response_time"]) < 5
    assert fields["http_response_code"] == "204i" and fields["content_length"] == "0i"
    tags, fields = web[f"{skywatch.url}/query"]
    assert tags["result"] == "response_status_code_mismatch" and fields["result_code"] == "6i"
    tags, fields = web[f"http://127.0.0.1:{closed}/"]
    assert fields == {"result_type": '"connection_failed"', "result_code": "3i"} and "status_code" not in tags
    ports = {tags["port"]: (tags["result"], fields) for name, tags, fields in lines if name == "net_response"}
    result, fields = ports[str(skywatch.http_port)]
    assert result == "success" and fields["string_found"] == "true" and fields["result_code"] == "0u"
    result, fields = ports[str(closed)]
    assert result == "connection_failed" and set(fields) == {"result_type", "result_code"}


def test_ping_by_both_methods(skywatch_bin, tmp_path):
    need("ping", "iputils-ping")
    lines, said = gather(skywatch_bin, tmp_path, """
[[inputs.ping]]
  urls = ["127.0.0.1", "::1", "no..such..host"]
  count = 2
  ping_interval = 0.2
[[inputs.ping]]
  method = "native"
  urls = ["127.0.0.1"]
  count = 3
  ping_interval = 0.2
  percentiles = [50, 95]
  tags = {method = "native"}
""")
    by = {(tags["url"], tags.get("method")): fields for name, tags, fields in lines if name == "ping"}
    for url in ("127.0.0.1", "::1"):
        fields = by[url, None]
        assert fields["packets_transmitted"] == fields["packets_received"] == "2i", said
        assert fields["result_code"] == "0i" and float(fields["percent_packet_loss"]) == 0 and fields["ttl"] == "64i"
        times = [float(fields[f"{name}_response_ms"]) for name in ("minimum", "average", "maximum")]
        assert 0 < times[0] <= times[1] <= times[2] < 1000 and "standard_deviation_ms" in fields
    native = by["127.0.0.1", "native"]
    assert native["packets_received"] == "3i"
    assert float(native["minimum_response_ms"]) <= float(native["percentile50_ms"]) <= float(native["percentile95_ms"])
    assert by["no..such..host", None] == {"result_code": "2i"} and "ping no..such..host:" in said
