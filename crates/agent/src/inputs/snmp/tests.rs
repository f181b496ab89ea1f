//! Against net-snmp's agent where there is one, and tables by themselves.

use std::fs;
use std::io::Read as _;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::config::section_for_tests;
use crate::input::Accumulator;
use crate::processors::testing::lines;

/// A real `snmpd` with users of SNMPv3; ends with the test.
struct Snmpd {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Snmpd {
    fn drop(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it has ended");
    }
}

/// `None` where Debian's `snmpd` is not installed; the test says so.
fn snmpd() -> Option<Snmpd> {
    if !std::path::Path::new("/usr/sbin/snmpd").exists() {
        eprintln!("skipped: snmpd is not installed (apt-get install snmpd)");
        return None;
    }
    let dir = tempfile::tempdir().expect("temporary directory");
    // Below those that the kernel gives to sockets: another test's could have it before the agent does.
    let free = |port: &u16| UdpSocket::bind(("127.0.0.1", *port)).is_ok();
    let port = std::iter::repeat_with(|| rand::random_range(20_000..30_000)).find(free).expect("endless");
    let config = "rocommunity public\nsysName machine-1\nsysLocation rack 7\nsysContact ops\n\
                  createUser plain\ncreateUser signed SHA \"authpassword\"\n\
                  createUser sealed SHA-256 \"authpassword\" AES \"privpassword\"\n\
                  rouser plain noauth\nrouser signed auth\nrouser sealed priv\n";
    fs::write(dir.path().join("snmpd.conf"), config).expect("written");
    let process = Command::new("/usr/sbin/snmpd")
        .args(["-f", "-Lf", "/dev/null", "-C", "-c"])
        .arg(dir.path().join("snmpd.conf"))
        .arg(format!("udp:127.0.0.1:{port}"))
        .env("SNMP_PERSISTENT_DIR", dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    Some(Snmpd { process, port, _dir: dir })
}

impl Snmpd {
    /// Gathers until it answers.
    fn gather(&mut self, options: &str) -> (Vec<Metric>, Vec<GatherError>) {
        self.gather_with("timeout = '1s'\nretries = 0", options)
    }

    /// The same with other limits.
    fn gather_with(&mut self, limits: &str, options: &str) -> (Vec<Metric>, Vec<GatherError>) {
        let text = format!("agents = ['udp://127.0.0.1:{}']\n{limits}\n{options}", self.port);
        let mut section = section_for_tests(&text);
        let mut input = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().is_ok(), "unknown options in {options}");
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let mut acc = Accumulator::new(7);
            input.gather(&mut acc).expect("gathered");
            let (metrics, errors) = acc.into_parts();
            if !errors.iter().any(|error| error.to_string().contains("no answer")) || Instant::now() > until {
                if let Ok(Some(_)) = self.process.try_wait() {
                    let mut said = String::new();
                    self.process.stderr.take().map(|mut e| e.read_to_string(&mut said));
                    panic!("snmpd has ended: {said}");
                }
                return (metrics, errors);
            }
        }
    }
}

const SYSTEM: &str = "
[[field]]
oid = 'SNMPv2-MIB::sysName.0'
name = 'source'
is_tag = true
[[field]]
oid = '.1.3.6.1.2.1.1.6.0'
[[field]]
oid = 'RFC1213-MIB::sysUpTime.0'
name = 'uptime'
conversion = 'float(2)'
[[field]]
oid = '.1.3.6.1.2.1.1.99.0'
name = 'absent'
";

const INTERFACES: &str = "
[[table]]
oid = 'IF-MIB::ifTable'
name = 'interface'
inherit_tags = ['source']
index_as_tag = true
[[table.field]]
oid = 'IF-MIB::ifDescr'
is_tag = true
[[table.field]]
oid = 'IF-MIB::ifOperStatus'
conversion = 'enum'
[[table.field]]
oid = 'IF-MIB::ifPhysAddress'
conversion = 'hwaddr'
";

#[test]
fn scalars_and_tables_of_a_real_agent_in_every_version() {
    let Some(mut snmpd) = snmpd() else { return };
    let v3 = |user: &str, level: &str| {
        format!(
            "version = 3\nsec_name = '{user}'\nsec_level = '{level}'\nauth_protocol = '{}'\nauth_password = 'authpassword'\n\
             priv_protocol = 'AES'\npriv_password = 'privpassword'\n",
            if user == "sealed" { "SHA256" } else { "SHA" }
        )
    };
    let versions = [
        "version = 1\n".to_owned(),
        "version = 2\nmax_repetitions = 3\n".to_owned(),
        v3("plain", "noAuthNoPriv"),
        v3("signed", "authNoPriv"),
        v3("sealed", "authPriv"),
    ];
    for version in versions {
        let (metrics, errors) = snmpd.gather(&format!("{version}{SYSTEM}{INTERFACES}"));
        assert!(errors.is_empty(), "{version}: {errors:?}");
        let lines = lines(&metrics);
        assert!(
            lines[0]
                .starts_with("snmp,agent_host=127.0.0.1,source=machine-1 sysLocation.0=\"rack 7\",uptime="),
            "{version}: {lines:?}"
        );
        assert!(!lines[0].contains("absent"));
        let lo = lines.iter().find(|line| line.contains("ifDescr=lo,")).expect("the loopback interface");
        assert!(
            lo.starts_with("interface,agent_host=127.0.0.1,ifDescr=lo,ifIndex=1,index=1,source=machine-1 "),
            "{lo}"
        );
        assert!(
            lo.contains("ifOperStatus=\"up\"") && lo.contains("ifInOctets=") && lo.contains("ifMtu=65536i"),
            "{lo}"
        );
        let octets = metrics.iter().find_map(|m| m.field_value("ifInOctets"));
        assert!(matches!(octets, Some(skywatch_model::FieldValue::Unsigned(_))), "{octets:?}");
    }
}

#[test]
fn what_the_agent_refuses_is_told() {
    let Some(mut snmpd) = snmpd() else { return };
    let wrong = "version = 3\nsec_name = 'signed'\nsec_level = 'authNoPriv'\nauth_protocol = 'SHA'\nauth_password = 'wrongpassword'\n";
    let (metrics, errors) = snmpd.gather(&format!("{wrong}{SYSTEM}"));
    assert!(metrics.is_empty() && errors.len() == 1, "{metrics:?} {errors:?}");
}

#[test]
fn an_agent_that_is_silent_costs_its_own_time_only() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let port = silent.local_addr().expect("bound").port();
    let mut section = section_for_tests(&format!(
        "agents = ['127.0.0.1:{port}', 'udp://127.0.0.1:{port}']\ntimeout = '100ms'\nretries = 1\n{SYSTEM}{INTERFACES}"
    ));
    let mut input = build(&mut section, &Context::default()).expect("valid");
    let mut acc = Accumulator::new(7);
    let began = Instant::now();
    input.gather(&mut acc).expect("gathered");
    let (metrics, errors) = acc.into_parts();
    assert!(metrics.is_empty());
    assert_eq!(errors.len(), 2, "one for each agent, and not for each field: {errors:?}");
    assert!(errors[0].to_string().contains("no answer to 2 requests of 100 ms each"), "{errors:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_answer_that_is_late_costs_one_attempt() {
    let Some(mut snmpd) = snmpd() else { return };
    // Between the two stands what makes the agent's second answer late, and every later one prompt.
    let between = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let agent = format!("127.0.0.1:{}", snmpd.port);
    snmpd.port = between.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        let mut packet = [0; 65_536];
        let mut answers = 0;
        while let Ok((length, client)) = between.recv_from(&mut packet) {
            let onward = UdpSocket::bind("127.0.0.1:0").expect("bound");
            onward.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
            onward.send_to(&packet[..length], &agent).expect("sent");
            let Ok((length, _)) = onward.recv_from(&mut packet) else { continue };
            answers += 1;
            let (answer, reply) = (packet[..length].to_vec(), between.try_clone().expect("cloned"));
            let late = if answers == 2 { Duration::from_millis(1_500) } else { Duration::ZERO };
            std::thread::spawn(move || {
                std::thread::sleep(late);
                reply.send_to(&answer, client)
            });
        }
    });
    let (metrics, errors) =
        snmpd.gather_with("timeout = '1s'\nretries = 1", &format!("{SYSTEM}{INTERFACES}"));
    assert!(errors.is_empty(), "{errors:?}");
    assert!(metrics.len() > 1, "{metrics:?}");
}

#[test]
fn indices_of_another_table() {
    let mut section = section_for_tests(
        "[[table]]\nname = 't'\nindex_as_tag = true\n[[table.field]]\noid = '.1.9.1'\nname = 'port'\nsecondary_index_table = true\n\
         [[table.field]]\noid = '.1.9.2'\nname = 'speed'\nsecondary_index_use = true\n\
         [[table.field]]\noid = '.1.9.3'\nname = 'x'\noid_index_suffix = '9'\noid_index_length = 1\n",
    );
    let options = Options::from_section(&mut section).expect("valid");
    let table = &options.tables[0];
    let (port, speed, x) = (&table.fields[0], &table.fields[1], &table.fields[2]);
    let mut rows = Rows::default();
    let number = skywatch_model::FieldValue::Integer;
    rows.add(port, ".5", number(17));
    rows.add(port, ".10", number(18));
    rows.add(speed, ".17", number(1000));
    rows.add(speed, ".99", number(1));
    rows.add(x, ".5.3.9", number(3));
    rows.add(x, ".5.3.8", number(4));
    let top = Metric::new("snmp", 7).tag("agent_host", "h");
    assert_eq!(
        lines(&rows.into_metrics(table, &top, "agent_host")),
        ["t,agent_host=h,index=5 port=17i,speed=1000i,x=3i 7", "t,agent_host=h,index=10 port=18i 7"]
    );
}

#[test]
fn faults_are_named() {
    for (options, want) in [
        ("agents = ['tcp://h:161']", "only UDP"),
        ("version = 4", "none of 1, 2, 3"),
        ("version = 3\nsec_level = 'authPriv'", "needs auth_protocol"),
        ("[[field]]\nname = 'x'", "needs an object identifier"),
        ("[[field]]\noid = 'NO-MIB::nothing'", "not known here"),
        ("[[table]]\noid = '.1.3.6.1.4.1.9'", "columns of this table are not known"),
        ("[[table]]\n[[table.field]]\noid='.1.2'", "a name or an oid"),
    ] {
        let error = build(&mut section_for_tests(options), &Context::default()).expect_err(want).to_string();
        assert!(error.contains(want), "{error}");
    }
}
