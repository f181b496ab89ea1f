//! Against answers of an engine (Docker 20.10, recorded; the two of `stats-cgroup*` made after its documentation), and
//! against a stand-in that hangs, refuses and forgets.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::config::section_for_tests;
use crate::metric::Metric;

fn options(text: &str) -> Options {
    Options::from_section(&mut section_for_tests(text), &|_| None).expect("valid")
}

fn fixture_text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/docker/{name}.json"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn fixture(name: &str) -> Value {
    serde_json::from_str(&fixture_text(name)).expect("JSON")
}

fn lines(metrics: &[Metric]) -> Vec<String> {
    let text = |metric: &Metric| {
        let mut out = String::new();
        let options =
            skywatch_model::serialize::SerializeOptions { uint_support: true, ..Default::default() };
        crate::line::append(&mut out, metric, true, options).expect("serialisable");
        out.trim_end().to_owned()
    };
    metrics.iter().map(text).collect()
}

fn tags() -> EngineTags {
    EngineTags { host: "kvm-1".to_owned(), version: "20.10".to_owned() }
}

const NOW: i64 = 1_795_888_100_000_000_000;
const ENGINE: &str = "engine_host=kvm-1,server_version=20.10";

#[test]
fn the_engine() {
    assert_eq!(
        lines(&engine::info(&fixture("info"), &tags(), 5)),
        [
            "docker,engine_host=kvm-1,server_version=20.10 n_cpus=2i,n_used_file_descriptors=62i,n_containers=5i,\
             n_containers_running=3i,n_containers_stopped=1i,n_containers_paused=1i,n_images=1i,n_goroutines=180i,\
             n_listener_events=2i 5",
            "docker,engine_host=kvm-1,server_version=20.10,unit=bytes memory_total=25276510208i 5",
        ]
    );
    assert_eq!(EngineTags::read(&fixture("info")).version, "20.10.24+dfsg1");
    assert!(!engine::is_podman(&fixture("version")));
    let podman = serde_json::json!({"Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]});
    assert!(engine::is_podman(&podman));
}

#[test]
fn pools_of_the_device_mapper() {
    let info = serde_json::json!({"DriverStatus": [
        ["Pool Name", "docker-8:1-pool"], ["Pool Blocksize", "65.54 kB"], ["Backing Filesystem", "extfs"],
        ["Data Space Used", "17.3 MB"], ["Data Space Total", "107.4 GB"], ["Data Space Available", "36.53 GB"],
        ["Metadata Space Used", "20.97 kB"], ["Metadata Space Total", "2.146 GB"],
        ["Metadata Space Available", "2.145 GB"], ["Thin Pool Minimum Free Space", "10.74 GB"]
    ]});
    assert_eq!(
        lines(&engine::info(&info, &tags(), 5))[2..],
        [
            format!(
                "docker_data,{ENGINE},unit=bytes available=36530000000i,total=107400000000i,used=17300000i 5"
            ),
            format!(
                "docker_metadata,{ENGINE},unit=bytes available=2145000000i,total=2146000000i,used=20970i 5"
            ),
            "docker_devicemapper,engine_host=kvm-1,pool_name=docker-8:1-pool,server_version=20.10 \
             pool_blocksize_bytes=65540i,data_space_used_bytes=17300000i,data_space_total_bytes=107400000000i,\
             data_space_available_bytes=36530000000i,metadata_space_used_bytes=20970i,\
             metadata_space_total_bytes=2146000000i,metadata_space_available_bytes=2145000000i,\
             thin_pool_minimum_free_space_bytes=10740000000i 5"
            .to_owned(),
        ]
    );
}

#[test]
fn services_of_a_swarm() {
    let found = engine::swarm(&fixture("services"), &fixture("tasks"), &fixture("nodes"), &tags(), 5);
    assert_eq!(
        lines(&found),
        [
            "docker_swarm,engine_host=kvm-1,server_version=20.10,service_id=5uirztqkhsm00kdml5ausaerp,\
             service_mode=global,service_name=glob tasks_running=1i,tasks_desired=1u 5",
            "docker_swarm,engine_host=kvm-1,server_version=20.10,service_id=j6cpymmzjootisga5pzb12ykg,\
             service_mode=replicated_job,service_name=job tasks_running=1i,tasks_desired=1u 5",
        ]
    );
    // Two replicas wanted; one runs on a node that is down, one has failed and was told to stop.
    let services =
        serde_json::json!([{"ID": "s", "Spec": {"Name": "web", "Mode": {"Replicated": {"Replicas": 2}}}}]);
    let tasks = serde_json::json!([
        {"ServiceID": "s", "NodeID": "up", "DesiredState": "running", "Status": {"State": "running"}},
        {"ServiceID": "s", "NodeID": "down", "DesiredState": "running", "Status": {"State": "running"}},
        {"ServiceID": "s", "NodeID": "up", "DesiredState": "shutdown", "Status": {"State": "failed"}},
    ]);
    let nodes = serde_json::json!([
        {"ID": "up", "Status": {"State": "ready"}}, {"ID": "down", "Status": {"State": "down"}},
    ]);
    let found = lines(&engine::swarm(&services, &tasks, &nodes, &tags(), 5));
    assert!(
        found[0].ends_with("service_mode=replicated,service_name=web tasks_running=1i,tasks_desired=2u 5")
    );
}

#[test]
fn space_on_disk() {
    use engine::StorageObject::{Container, Image, Volume};
    let found = lines(&engine::disk_usage(&fixture("df"), &[Container, Image, Volume], &tags(), 5));
    assert_eq!(found[0], format!("docker_disk_usage,{ENGINE} layers_size=762448i 5"));
    assert_eq!(
        found[1],
        "docker_disk_usage,container_image=tiny,container_name=net,container_version=1.2,\
         engine_host=kvm-1,server_version=20.10 size_rw=0i,size_root_fs=762448i 5"
    );
    assert_eq!(
        found[4],
        "docker_disk_usage,engine_host=kvm-1,image_id=0c550c303953,image_name=tiny,image_version=1.2,\
         server_version=20.10 size=762448i,shared_size=0i 5"
    );
    assert_eq!(found[5], format!("docker_disk_usage,{ENGINE},volume_name=v1 size=0i 5"));
    assert_eq!(found.len(), 7);
    let images = lines(&engine::disk_usage(&fixture("df"), &[Image], &tags(), 5));
    assert_eq!(images.len(), 2, "and the layers");
}

fn container_of(name: &str, options: &Options) -> Container {
    let list = fixture("containers");
    let mut found = json::list(&list, "").iter().filter_map(|entry| Container::read(entry, options));
    found.find(|container| container.name == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn how_containers_fare() {
    let all = options("container_state_include = ['*']\ntag_env = ['TIER', 'EMPTY']\nsource_tag = true");
    let web = container_of("web", &all);
    let base = web.base(&fixture("web"), &tags(), &all, NOW);
    let of_web = "TIER=front,container_image=tiny,container_name=web,container_status=running,container_version=1.2,\
                  engine_host=kvm-1,server_version=20.10,source=d842093ec1ac,team=a,tier=front";
    let id = "d842093ec1ac5817d8d9a9772ea096352d6d5aa03760a607053cda3b0d79b3f0";
    assert_eq!(
        lines(&container::state(&fixture("web"), &base, &web.id)),
        [
            format!(
                "docker_container_status,{of_web} oomkilled=false,pid=16224i,exitcode=0i,restart_count=0i,\
                 container_id=\"{id}\",started_at=1795888089584813661i,uptime_ns=10415186339i {NOW}"
            ),
            format!("docker_container_health,{of_web} health_status=\"unhealthy\",failing_streak=4i {NOW}"),
        ]
    );
    let gone = container_of("gone", &all);
    assert!(!gone.is_measured());
    let base = gone.base(&fixture("gone"), &tags(), &all, NOW);
    let found = lines(&container::state(&fixture("gone"), &base, &gone.id));
    assert_eq!(found.len(), 1, "no check of its health");
    assert!(
        found[0].contains("container_status=exited") && found[0].contains("exitcode=137i"),
        "{}",
        found[0]
    );
    let uptime =
        found[0].split("uptime_ns=").nth(1).and_then(|rest| rest.split('i').next()).expect("an uptime");
    assert!(uptime.parse::<i64>().expect("a number") < 60_000_000_000, "it ended when it was killed");
    assert!(stats::points(&fixture("gone-stats"), &base, &gone.id, &all, None).is_empty(), "never measured");
}

#[test]
fn filters_choose_containers_and_labels() {
    let names = |options: &Options| -> Vec<String> {
        let list = fixture("containers");
        json::list(&list, "")
            .iter()
            .filter_map(|entry| Container::read(entry, options))
            .map(|c| c.name)
            .collect()
    };
    assert_eq!(
        names(&options("container_name_exclude = ['job.*', 'glob.*']")),
        ["web"],
        "only those that run"
    );
    assert_eq!(names(&options("container_state_include = ['paused', 'exited']")), ["net", "gone"]);
    let labels =
        options("docker_label_include = ['com.docker.swarm.service.*']\ndocker_label_exclude = ['*.id']");
    let job = container_of("job.fk681mh3x7zb3tw60p0njhx4b.rt8e8u5pf6vs7pqdfxcmbx0kt", &labels);
    assert_eq!(job.labels, [("com.docker.swarm.service.name".to_owned(), "job".to_owned())]);
}

#[test]
fn stats_under_the_first_version_of_control_groups() {
    let all = options("perdevice_include = ['cpu', 'blkio', 'network']");
    let base = Metric::new("docker", NOW).tag("container_name", "c");
    let t = 1_420_757_851_547_920_715_i64;
    let net = |name: &str, values: [u64; 8]| {
        let [rd, rb, re, tp, td, rp, te, tb] = values;
        format!(
            "docker_container_net,container_name=c,network={name} container_id=\"id\",rx_dropped={rd}u,rx_bytes={rb}u,\
             rx_errors={re}u,tx_packets={tp}u,tx_dropped={td}u,rx_packets={rp}u,tx_errors={te}u,tx_bytes={tb}u {t}"
        )
    };
    let of_sda = "io_service_bytes_recursive_total=300u,io_service_bytes_recursive_write=200u,\
                  io_serviced_recursive_async=6u,io_serviced_recursive_sync=5u,io_time_recursive=44u,\
                  io_wait_time_read=9u,sectors_recursive=45u";
    assert_eq!(
        lines(&stats::points(&fixture("stats-cgroup1"), &base, "id", &all, None)),
        [
            format!(
                "docker_container_mem,container_name=c container_id=\"id\",cache=12u,inactive_file=14u,mapped_file=13u,\
                 pgpgout=414u,rss=6537216u,total_inactive_file=1048576u,total_pgmajfault=11u,limit=67108864u,\
                 max_usage=6651904u,usage=6537216u,usage_percent=9.7412109375,fail_count=3u {t}"
            ),
            format!(
                "docker_container_cpu,container_name=c,cpu=cpu-total container_id=\"id\",usage_total=100215355u,\
                 usage_in_usermode=50000000u,usage_in_kernelmode=30000000u,usage_system=739306590000000u,\
                 throttling_periods=1u,throttling_throttled_periods=2u,throttling_throttled_time=3u,\
                 usage_percent=0.01820385 {t}"
            ),
            format!(
                "docker_container_cpu,container_name=c,cpu=cpu0 container_id=\"id\",usage_total=8646879u {t}"
            ),
            format!(
                "docker_container_cpu,container_name=c,cpu=cpu1 container_id=\"id\",usage_total=24472255u {t}"
            ),
            format!(
                "docker_container_cpu,container_name=c,cpu=cpu2 container_id=\"id\",usage_total=36438778u {t}"
            ),
            net("eth0", [1, 5338, 2, 8, 3, 36, 4, 648]),
            net("eth5", [0, 4641, 0, 9, 0, 26, 0, 690]),
            net("total", [1, 9979, 2, 17, 3, 62, 4, 1338]),
            format!(
                "docker_container_blkio,container_name=c,device=8:0 container_id=\"id\",\
                 io_service_bytes_recursive_read=100u,{of_sda} {t}"
            ),
            format!(
                "docker_container_blkio,container_name=c,device=253:1 container_id=\"id\",\
                 io_service_bytes_recursive_read=7u {t}"
            ),
            format!(
                "docker_container_blkio,container_name=c,device=total container_id=\"id\",\
                 io_service_bytes_recursive_read=107u,{of_sda} {t}"
            ),
        ]
    );
    let few = options("perdevice_include = []\ntotal_include = []");
    assert_eq!(stats::points(&fixture("stats-cgroup1"), &base, "id", &few, None).len(), 1, "memory alone");
}

#[test]
fn stats_under_the_second_version_of_control_groups() {
    let base = Metric::new("docker", NOW).tag("container_name", "c");
    let before = CpuSample::of(&serde_json::json!({
        "cpu_stats": {"cpu_usage": {"total_usage": 500}, "system_cpu_usage": 10_000}
    }));
    let found = lines(&stats::points(&fixture("stats-cgroup2"), &base, "id", &options(""), before));
    let t = 1_770_091_506_000_000_007_i64;
    assert_eq!(
        found,
        [
            format!(
                "docker_container_mem,container_name=c container_id=\"id\",active_anon=21u,active_file=22u,\
                 inactive_anon=25u,inactive_file=5242880u,pgfault=27u,pgmajfault=28u,unevictable=30u,limit=20971520u,\
                 max_usage=0u,usage=5242880u,usage_percent=25 {t}"
            ),
            format!(
                "docker_container_cpu,container_name=c,cpu=cpu-total container_id=\"id\",usage_total=1500u,\
                 usage_in_usermode=1000u,usage_in_kernelmode=500u,usage_system=20000u,throttling_periods=0u,\
                 throttling_throttled_periods=0u,throttling_throttled_time=0u,usage_percent=20 {t}"
            ),
            format!(
                "docker_container_blkio,container_name=c,device=total container_id=\"id\",\
                 io_service_bytes_recursive_read=18446744073709551615u,io_service_bytes_recursive_write=0u {t}"
            ),
        ]
    );
}

#[test]
fn a_recorded_container_is_understood() {
    let all = options("");
    let base = Metric::new("docker", NOW);
    let found = stats::points(&fixture("web-stats"), &base, "id", &all, None);
    let names: Vec<_> = found.iter().map(|metric| metric.name.as_ref()).collect();
    let cpu = "docker_container_cpu";
    assert_eq!(names, ["docker_container_mem", cpu, cpu, cpu], "no network, and nothing was read from disks");
    let Some(skywatch_model::FieldValue::Float(percent)) = found[1].field_value("usage_percent") else {
        panic!()
    };
    assert!(*percent > 0.0 && *percent < 100.0, "{percent}");
    assert_eq!(found[0].field_value("limit"), Some(&skywatch_model::FieldValue::Unsigned(64 << 20)));
}

/// What the stand-in does with a request.
enum Answer {
    Json(u16, String),
    Hang,
    Close,
}

type Handler = fn(&str) -> Answer;

/// An engine on a socket of its own, and the paths it was asked for.
struct StandIn {
    _directory: tempfile::TempDir,
    socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    fn start(handler: Handler) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let socket = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let log = Arc::clone(&log);
                std::thread::spawn(move || serve(stream, handler, &log));
            }
        });
        Self { _directory: directory, socket, asked }
    }

    fn input(&self, more: &str) -> Docker {
        Docker::new(options(&format!("endpoint = 'unix://{}'\n{more}", self.socket.display())))
    }

    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("unpoisoned"))
    }
}

fn serve(mut stream: UnixStream, handler: Handler, log: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path =
        request.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).expect("a GET").to_owned();
    log.lock().expect("unpoisoned").push(path.clone());
    match handler(&path) {
        Answer::Json(status, body) => {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok();
        }
        Answer::Hang => {
            // Until the other side has had enough.
            stream.read_to_end(&mut Vec::new()).ok();
        }
        Answer::Close => {}
    }
}

/// Five containers, of which only two are well. Every path must be one of version 1.41.
fn engine_with_troubles(path: &str) -> Answer {
    let json = |name: &str| Answer::Json(200, fixture_text(name));
    if path == "/version" {
        return json("version");
    }
    let Some(path) = path.strip_prefix("/v1.41") else {
        return Answer::Json(400, "{\"message\":\"client version is not supported\"}".to_owned());
    };
    match path {
        "/info" => json("info"),
        "/containers/json" => {
            let names = ["well", "hangs", "fails", "vanished", "breaks", "fine"];
            let one = |name| {
                format!(
                    "{{\"Id\":\"{name}\",\"Names\":[\"/{name}\"],\"Image\":\"i:1\",\"State\":\"running\"}}"
                )
            };
            Answer::Json(200, format!("[{}]", names.map(one).join(",")))
        }
        "/containers/hangs/stats?stream=false" => Answer::Hang,
        "/containers/fails/stats?stream=false" => {
            Answer::Json(500, "{\"message\":\"cgroup deleted\"}".to_owned())
        }
        "/containers/breaks/json" => Answer::Close,
        "/containers/breaks/stats?stream=false" => Answer::Json(200, "{\"read\": ".to_owned()),
        path if path.starts_with("/containers/vanished/") => {
            Answer::Json(404, "{\"message\":\"No such container\"}".to_owned())
        }
        path if path.ends_with("/json") => json("web"),
        // With a sample of its own from the second time on, the input needs no second one of the engine.
        path if path.contains("/stats?stream=false") => json("stats-cgroup2"),
        "/services" => Answer::Json(503, "{\"message\":\"This node is not a swarm manager.\"}".to_owned()),
        "/tasks" | "/nodes" => Answer::Json(200, "[]".to_owned()),
        "/system/df" => json("df"),
        _ => Answer::Json(404, "{\"message\":\"page not found\"}".to_owned()),
    }
}

fn gather(input: &mut Docker) -> (Vec<Metric>, Vec<String>) {
    let mut acc = Accumulator::new(NOW);
    input.gather(&mut acc).expect("a runtime");
    let (metrics, errors) = acc.into_parts();
    (metrics, errors.iter().map(ToString::to_string).collect())
}

#[test]
fn a_broken_container_costs_the_others_nothing() {
    let stand_in = StandIn::start(engine_with_troubles);
    let mut input = stand_in.input("timeout = '1s'\ngather_services = true\nstorage_objects = ['image']");
    let start = Instant::now();
    let (metrics, errors) = gather(&mut input);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let of = |name: &str, container: &str| {
        metrics.iter().filter(|m| m.name == name && m.tag_value("container_name") == Some(container)).count()
    };
    for well in ["well", "fine"] {
        assert_eq!((of("docker_container_status", well), of("docker_container_mem", well)), (1, 1), "{well}");
        assert_eq!(of("docker_container_cpu", well), 1);
    }
    assert_eq!((of("docker_container_status", "hangs"), of("docker_container_mem", "hangs")), (1, 0));
    assert_eq!((of("docker_container_status", "fails"), of("docker_container_mem", "fails")), (1, 0));
    assert!(!metrics.iter().any(|metric| metric.tag_value("container_name") == Some("vanished")));
    assert!(metrics.iter().any(|metric| metric.name == "docker_disk_usage"));
    let told = |what: &str, why: &str| errors.iter().any(|error| error.contains(what) && error.contains(why));
    assert!(told("container hangs", "no answer in time"), "{errors:?}");
    assert!(told("container fails", "cgroup deleted"), "{errors:?}");
    assert!(told("container breaks", ""), "{errors:?}");
    assert!(told("services", "not a swarm manager"), "{errors:?}");
    assert_eq!(errors.len(), 4, "{errors:?}");
}

#[test]
fn the_engine_waits_for_a_second_sample_only_once() {
    fn calm(path: &str) -> Answer {
        match path {
            "/v1.41/containers/json" => {
                let one = "[{\"Id\":\"well\",\"Names\":[\"/well\"],\"Image\":\"i:1\",\"State\":\"running\"}]";
                Answer::Json(200, one.to_owned())
            }
            other => engine_with_troubles(other),
        }
    }
    let stand_in = StandIn::start(calm);
    let mut input = stand_in.input("");
    assert_eq!(gather(&mut input).1, Vec::<String>::new());
    let asked = stand_in.take_asked();
    assert_eq!(asked[..3], ["/version", "/v1.41/info", "/v1.41/containers/json"]);
    assert!(asked.contains(&"/v1.41/containers/well/stats?stream=false".to_owned()), "{asked:?}");
    assert_eq!(gather(&mut input).1, Vec::<String>::new());
    let asked = stand_in.take_asked();
    assert_eq!(asked[..2], ["/v1.41/info", "/v1.41/containers/json"], "the version is known");
    assert!(
        asked.contains(&"/v1.41/containers/well/stats?stream=false&one-shot=true".to_owned()),
        "{asked:?}"
    );
}

#[test]
fn no_engine_is_an_error_and_no_more() {
    let mut input = Docker::new(options("endpoint = 'unix:///nonexistent/docker.sock'"));
    for _ in 0..2 {
        let (metrics, errors) = gather(&mut input);
        assert!(metrics.is_empty());
        assert_eq!(errors.len(), 1);
        assert!(errors[0].starts_with("unix:///nonexistent/docker.sock: "), "{}", errors[0]);
    }
}

#[test]
fn versions_of_the_api_are_compared_as_numbers() {
    assert_eq!(parse_version("1.41"), Some((1, 41)));
    assert!(parse_version("1.9") < parse_version("1.24"));
    assert_eq!(parse_version("1"), None);
}
