//! A replicated set of numbers, small enough to be right at a glance: by it the simulator itself is tested.
//!
//! A node adds a number by keeping it in its log, asking the others to keep it, and acknowledging it once a majority has
//! synced it. So no number that was acknowledged may be missing on a majority in the end.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_rpc::{Failure, Router, tell};
use skywatch_storage::fs::File;

use crate::*;

const ADDRESSES: [&str; 3] = ["a:1", "b:1", "c:1"];
const LOG: &str = "queue/log";

/// What a node holds while it runs.
#[derive(Default)]
struct Register {
    numbers: Mutex<BTreeSet<u64>>,
    log: Mutex<Option<Arc<dyn File>>>,
    /// A planted bug: it acknowledges before others have what it got.
    hasty: bool,
}

impl Register {
    fn keep(&self, number: u64) -> Result<(), Failure> {
        let log = self.log.lock();
        let log = log.as_ref().ok_or_else(|| Failure::internal("no log"))?;
        let record = [number.to_le_bytes(), (!number).to_le_bytes()].concat();
        log.append(&record).and_then(|()| log.sync()).map_err(Failure::internal)?;
        self.numbers.lock().insert(number);
        Ok(())
    }

    async fn add(&self, machine: &Machine, number: u64) -> Result<(), Failure> {
        let mut kept = usize::from(self.keep(number).is_ok());
        for other in ADDRESSES.iter().enumerate().filter(|(host, _)| Host(*host) != machine.host) {
            if kept == 0 || self.hasty {
                break;
            }
            let within = Duration::from_millis(300);
            let answer: Result<(), _> = tell(&*machine.transport, other.1, "set.keep", &number, within).await;
            kept += usize::from(answer.is_ok());
        }
        if kept > 1 || self.hasty && kept > 0 { Ok(()) } else { Err(Failure::internal("no majority")) }
    }
}

#[derive(Default)]
struct Server {
    hasty: bool,
    running: Mutex<Option<Arc<Register>>>,
}

#[async_trait]
impl Program for Server {
    async fn boot(&self, machine: Machine) -> Result<Vec<(String, Router)>, String> {
        let register = Arc::new(Register { hasty: self.hasty, ..Register::default() });
        open(&register, &machine).map_err(|error| error.to_string())?;
        *self.running.lock() = Some(Arc::clone(&register));
        let keeping = Arc::clone(&register);
        let address = ADDRESSES[machine.host.0].to_owned();
        let router = Router::new()
            .on("set.keep", move |number: u64, _| {
                let register = Arc::clone(&keeping);
                async move { Ok((register.keep(number)?, Bytes::new())) }
            })
            .on("set.add", move |number: u64, _| {
                let (register, machine) = (Arc::clone(&register), machine.clone());
                async move { Ok((register.add(&machine, number).await?, Bytes::new())) }
            });
        Ok(vec![(address, router)])
    }

    fn crashed(&self) {
        self.running.lock().take();
    }
}

fn open(register: &Register, machine: &Machine) -> std::io::Result<()> {
    let (fs, path) = (&machine.fs, Path::new(LOG));
    fs.create_dir_all(Path::new("queue"))?;
    let file = match fs.open_append(path) {
        Ok(file) => file,
        Err(_) => {
            let file = fs.create(path)?;
            fs.sync_dir(Path::new("queue"))?;
            file
        }
    };
    let bytes = fs.map(path)?;
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let records = bytes.chunks_exact(16).map(|record| (number(&record[..8]), number(&record[8..])));
    let numbers: BTreeSet<u64> =
        records.take_while(|(number, check)| *number == !check).map(|(number, _)| number).collect();
    file.truncate(16 * numbers.len() as u64)?;
    *register.numbers.lock() = numbers;
    *register.log.lock() = Some(file);
    Ok(())
}

/// Adds numbers, and remembers which were acknowledged.
#[derive(Default)]
struct Client {
    acknowledged: Arc<Mutex<BTreeSet<u64>>>,
}

#[async_trait]
impl Program for Client {
    async fn boot(&self, machine: Machine) -> Result<Vec<(String, Router)>, String> {
        let acknowledged = Arc::clone(&self.acknowledged);
        tokio::spawn(async move {
            let mut random = stream(machine.seed, "client");
            for number in 0.. {
                let to = *random.pick(&ADDRESSES);
                tokio::time::sleep(Duration::from_millis(random.between(5, 50))).await;
                let within = Duration::from_secs(1);
                let answer: Result<(), _> = tell(&*machine.transport, to, "set.add", &number, within).await;
                machine.trace.note(machine.time.now(), format!("number {number} through {to}: {answer:?}"));
                if answer.is_ok() {
                    acknowledged.lock().insert(number);
                }
            }
        });
        Ok(Vec::new())
    }

    fn crashed(&self) {}
}

/// What is wrong with the register on purpose.
#[derive(Default)]
struct Planted {
    hasty: bool,
    forgets_syncs: bool,
    panics: bool,
}

impl Scenario for Planted {
    fn name(&self) -> &'static str {
        "register"
    }

    fn script(&self, seed: u64) -> Vec<Planned> {
        let menu = Menu {
            machines: vec![Host(0), Host(1), Host(2)],
            hosts: (0..4).map(Host).collect(),
            length: Duration::from_secs(10),
            faults_max: 12,
            lasts_max: Duration::from_secs(3),
            jump_ms_max: 60_000,
            disks_fail: false,
        };
        draw(seed, &menu)
    }

    fn run(&self, plan: &Plan, trace: &Trace) -> Result<(), Violation> {
        let mut spec = Spec::new(plan.seed, plan.script.clone(), trace.clone());
        spec.disks.forget_syncs_below = self.forgets_syncs.then_some("queue");
        let mut world = World::new(spec);
        let servers: Vec<_> =
            (0..3).map(|_| Arc::new(Server { hasty: self.hasty, ..Server::default() })).collect();
        for (address, server) in ADDRESSES.iter().zip(&servers) {
            world.add(address, &[address], Arc::clone(server) as Arc<dyn Program>);
        }
        let client = Arc::new(Client::default());
        world.add("client", &[], Arc::clone(&client) as Arc<dyn Program>);
        world.run_for(Duration::from_secs(12))?;
        assert!(!self.panics, "planted");
        world.heal();
        world.run_until("everyone is up", Duration::from_secs(10), |world| {
            let up =
                (0..3).filter(|host| world.is_up(Host(*host)) && servers[*host].running.lock().is_some());
            if up.count() == 3 { Ok(()) } else { Err("not everyone".to_owned()) }
        })?;
        let acknowledged = client.acknowledged.lock().clone();
        for number in acknowledged {
            let holds = |server: &&Arc<Server>| {
                server.running.lock().as_ref().is_some_and(|it| it.numbers.lock().contains(&number))
            };
            if servers.iter().filter(holds).count() < 2 {
                let details = format!("number {number} was acknowledged and is not on a majority");
                return Err(
                    Violation::new("acknowledged is kept", details).about([format!("number {number} ")])
                );
            }
        }
        Ok(())
    }
}

#[test]
fn a_right_register_survives() {
    let summary = check(Planted::default(), 60);
    assert!(summary.events > 60 * 500, "{summary:?}");
}

#[test]
fn one_seed_has_one_history() {
    let scenario = Arc::new(Planted::default());
    let digest = |seed| {
        let plan = Plan { seed, script: scenario.script(seed) };
        run_one(&scenario, &plan).trace.digest()
    };
    for seed in 1..6 {
        assert_eq!(digest(seed), digest(seed), "seed {seed}");
    }
    assert_ne!(digest(1), digest(2));
}

/// What a planted bug is reported as.
fn report_of(planted: Planted) -> String {
    let panic = std::thread::spawn(move || check(planted, 300)).join().expect_err("it is found");
    panic.downcast_ref::<String>().expect("a report").clone()
}

#[test]
fn acknowledging_too_early_is_found() {
    let report = report_of(Planted { hasty: true, ..Planted::default() });
    assert!(report.contains("breaks this: acknowledged is kept"), "{report}");
}

#[test]
fn forgetting_to_sync_is_found_and_blamed_on_power_cuts() {
    let report = report_of(Planted { forgets_syncs: true, ..Planted::default() });
    assert!(report.contains("breaks this: acknowledged is kept"), "{report}");
    assert!(report.contains("PowerCut"), "{report}");
    assert!(report.contains("what is known of number"), "{report}");
    assert!(report.contains("again: SIM_SEED="), "{report}");
}

#[test]
fn a_panic_is_found() {
    let report = report_of(Planted { panics: true, ..Planted::default() });
    assert!(report.contains("breaks this: nothing panics") && report.contains("planted"), "{report}");
    assert!(report.contains("faults it takes, 0 of"), "{report}");
}
