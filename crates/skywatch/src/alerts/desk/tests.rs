//! Desks of a few nodes that call each other's routers, with engines over a source of made-up numbers.

use std::collections::BTreeMap;

use async_trait::async_trait;
use skywatch_alert::{
    AlertEngine, EngineOptions, Labels, Point, QueryFailure, QuerySource, Series, SystemClock, Time,
};
use skywatch_console::AlertState;
use skywatch_http::MetricsRegistry;
use skywatch_meta::{Applied, Catalogue, Command, Lease};
use skywatch_replication::ExecuteError;
use skywatch_rpc::{Call, Reply};

use super::*;

/// One room, which is too hot.
struct Hot;

impl QuerySource for Hot {
    async fn query(&self, _: &str, _: Option<&str>, _: &str, now: Time) -> Result<Vec<Series>, QueryFailure> {
        let labels: Labels = [("room".to_owned(), "attic".to_owned())].into();
        let points = vec![Point { time: now, value: Some(45.0) }];
        Ok(vec![Series { name: "temperature.celsius".to_owned(), labels, points }])
    }
}

#[derive(Debug, Default)]
enum Peer {
    #[default]
    Gone,
    Frozen,
    Answers(Router),
}

/// What the nodes share: a catalogue that all see at once, and the calls between them.
#[derive(Debug, Default)]
struct World {
    catalogue: Mutex<Catalogue>,
    peers: Mutex<BTreeMap<String, Peer>>,
    index: watch::Sender<u64>,
}

#[async_trait]
impl Catalogues for World {
    fn current(&self) -> Arc<Catalogue> {
        Arc::new(self.catalogue.lock().clone())
    }

    fn index(&self) -> u64 {
        0
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.index.subscribe()
    }

    fn age(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn is_met(&self) -> bool {
        true
    }

    async fn execute(&self, command: &Command) -> Result<Applied, ExecuteError> {
        Ok(self.catalogue.lock().apply(command)?)
    }

    async fn lease(&self, name: &str, owner: NodeId, duration: Duration) -> Result<Lease, ExecuteError> {
        let renewed = self.current().lease(name).map(|lease| lease.renewals);
        let command = Command::AcquireLease {
            name: name.to_owned(),
            owner,
            duration_ms: duration.as_millis() as u64,
            unrenewed: renewed,
        };
        Ok(self.execute(&command).await?.lease.unwrap())
    }

    async fn nobody_confirms(&self) -> bool {
        false
    }
}

#[async_trait]
impl Transport for World {
    async fn call(&self, to: &str, call: Call, within: Duration) -> Result<Reply, CallError> {
        let to_owned = to.to_owned();
        let router = match self.peers.lock().get(to) {
            None | Some(Peer::Gone) => {
                let reason = "Connection refused (os error 111)".to_owned();
                return Err(CallError::Unreachable { to: to_owned, reason });
            }
            Some(Peer::Frozen) => None,
            Some(Peer::Answers(router)) => Some(router.clone()),
        };
        match router {
            Some(router) => {
                router.answer(call).await.map_err(|failure| CallError::Failed { to: to_owned, failure })
            }
            None => {
                tokio::time::sleep(within).await;
                Err(CallError::TimedOut { to: to_owned, within })
            }
        }
    }
}

struct Rig {
    dir: tempfile::TempDir,
    world: Arc<World>,
}

impl Rig {
    /// So many nodes, numbered from 1, of which none runs yet.
    async fn new(nodes: u64) -> Self {
        let world = Arc::new(World::default());
        for number in 1..=nodes {
            let command = Command::CreateDataNode {
                tcp_addr: address(number),
                http_addr: format!("d{number}:8086"),
                https: false,
                labels: BTreeMap::new(),
            };
            world.execute(&command).await.unwrap();
        }
        Self { dir: tempfile::tempdir().unwrap(), world }
    }

    fn state_dir(&self, node: u64) -> PathBuf {
        self.dir.path().join(node.to_string())
    }

    fn becomes(&self, node: u64, peer: Peer) {
        self.world.peers.lock().insert(address(node), peer);
    }

    /// A node that runs.
    fn desk(&self, node: u64) -> Arc<Desk> {
        let desk = Arc::new(Desk::between(
            NodeId(node),
            Arc::clone(&self.world) as _,
            Arc::clone(&self.world) as _,
            self.state_dir(node),
        ));
        self.becomes(node, Peer::Answers(desk.router()));
        desk
    }

    async fn grant(&self, node: u64) {
        self.world.lease(LEASE, NodeId(node), Duration::from_secs(6)).await.unwrap();
    }

    /// The engine of a node, which has found that the room is too hot, and has stored a state.
    async fn engine(&self, node: u64, term: u64) -> Arc<Alerts> {
        let rules = self.dir.path().join("alerts.yaml");
        let text = "rules:\n- name: Too hot\n  query: SELECT celsius FROM temperature\n  above: 40\n  interval: 1s\n  notify: \
                    ops\ncontact_points:\n- name: ops\n  type: discord\n  url: http://127.0.0.1:9/api/webhooks/1/token\n";
        std::fs::write(&rules, text).unwrap();
        let options = EngineOptions { term: Some(term), ..EngineOptions::new(&rules, self.state_dir(node)) };
        let before = self.on_disk(node).unwrap_or_default();
        let handle = AlertEngine::start(options, Arc::new(Hot), SystemClock).await.unwrap();
        let engine = Arc::new(Alerts { handle, rules });
        let deadline = Instant::now() + Duration::from_secs(30);
        while engine.counted().instances_firing == 0 || *engine.saved().borrow() <= before {
            assert!(Instant::now() < deadline, "the rule does not fire");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        engine
    }

    /// Leaves a state of this term on the disk of a node.
    async fn leave_state(&self, node: u64, term: u64) -> Edition {
        let engine = self.engine(node, term).await;
        engine.stop().await;
        *engine.saved().borrow()
    }

    fn on_disk(&self, node: u64) -> Option<Edition> {
        stored_state(&self.state_dir(node)).unwrap().map(|state| state.edition())
    }
}

fn address(node: u64) -> String {
    format!("d{node}:8088")
}

fn rendered(desk: &Arc<Desk>) -> String {
    let registry = MetricsRegistry::default();
    registry.add(desk.metrics());
    registry.render()
}

fn told(by: u64, edition: Edition, title: &str) -> Told {
    let page = AlertsSnapshot { source: Some(title.to_owned()), ..AlertsSnapshot::default() };
    Told {
        by: address(by),
        edition,
        shown: Some((page, skywatch_alert::Metrics::default())),
        trouble: None,
        state: None,
    }
}

#[tokio::test]
async fn a_node_shows_and_keeps_what_the_evaluating_one_has() {
    let rig = Rig::new(2).await;
    let (first, second) = (rig.desk(1), rig.desk(2));
    assert_eq!(second.page(), AlertsSnapshot::default());
    assert!(second.ask_evaluator().await.is_none(), "nobody has the lease");
    assert!(!rendered(&second).contains("skywatch_alert_instances_firing"), "nothing is known yet");

    rig.grant(1).await;
    let engine = rig.engine(1, 1).await;
    first.evaluates(&engine);
    assert!(first.ask_evaluator().await.is_none(), "it does not ask itself");
    second.take_in(second.ask_evaluator().await.unwrap());
    let (own, seen) = (first.page(), second.page());
    assert_eq!(own.evaluated_by.as_deref(), Some("d1:8088"));
    assert_eq!((own.age_ms, seen.evaluated_by.clone()), (None, own.evaluated_by.clone()));
    assert!(seen.age_ms.is_some() && seen.evaluator_error.is_none());
    assert_eq!((seen.rules[0].title.as_str(), seen.rules[0].state), ("Too hot", AlertState::Firing));
    assert!(rig.on_disk(2).is_some_and(|edition| edition.term == 1));
    let (there, here) = (rendered(&first), rendered(&second));
    for metrics in [&there, &here] {
        assert!(metrics.contains("skywatch_alert_instances_firing 1\n"), "{metrics}");
        assert!(metrics.contains("skywatch_alert_rules 1\n"), "{metrics}");
    }
    assert!(
        there.contains("skywatch_alert_evaluating 1\n") && here.contains("skywatch_alert_evaluating 0\n")
    );
    assert!(there.contains("skywatch_alert_evaluations_total") && !here.contains("_evaluations_total"));

    // Held back until there is something new, which comes at the latest when the engine stops.
    let asking = tokio::spawn({
        let second = Arc::clone(&second);
        async move { second.ask_evaluator().await.unwrap() }
    });
    engine.stop().await;
    first.evaluates_no_longer(&engine);
    second.take_in(asking.await.unwrap());
    second.take_in(second.ask_evaluator().await.unwrap());
    let last = *engine.saved().borrow();
    assert_eq!(rig.on_disk(2), Some(last));
    timeout(Duration::from_secs(1), first.hand_over(last)).await.expect("it has been fetched");
    assert!(second.page().evaluator_error.is_some_and(|why| why.contains("does not")), "it has stopped");
    assert_eq!(first.page().evaluated_by.as_deref(), Some("d1:8088"), "what was seen last is shown");

    rig.becomes(1, Peer::Gone);
    assert!(second.ask_evaluator().await.is_none());
    let page = second.page();
    assert!(page.evaluator_error.is_some_and(|why| why.contains("cannot reach d1:8088")));
    assert_eq!(page.rules[0].state, AlertState::Firing);
}

#[tokio::test]
async fn the_newest_page_wins_whoever_tells_it_last() {
    let rig = Rig::new(3).await;
    let desk = rig.desk(3);
    let edition = |term, number| Edition { term, number };
    for (by, edition, title, shown) in [
        (1, edition(4, 9), "a", "a"),
        (1, edition(4, 9), "b", "b"),
        (2, edition(9, 1), "c", "c"),
        (1, edition(4, 10), "of a node that does not know yet", "c"),
        (2, edition(9, 2), "d", "d"),
    ] {
        desk.take_in(told(by, edition, title));
        assert_eq!(desk.page().source.as_deref(), Some(shown));
    }
}

#[tokio::test]
async fn who_takes_over_begins_with_the_newest_state_anywhere() {
    let rig = Rig::new(5).await;
    let stale = rig.leave_state(1, 2).await;
    let older = rig.leave_state(2, 3).await;
    let newest = rig.leave_state(3, 7).await;
    let desk = rig.desk(1);
    rig.desk(2);
    rig.desk(3);
    // Of a release that does not know the call.
    rig.becomes(4, Peer::Answers(Router::new()));
    rig.becomes(5, Peer::Gone);
    assert_eq!(rig.on_disk(1), Some(stale));
    desk.take_over().await;
    assert!(newest > older && rig.on_disk(1) == Some(newest));
    let engine = rig.engine(1, 5).await;
    assert!(*engine.saved().borrow() > newest, "though the lease was granted with a lower count");
    assert!(rig.on_disk(3) == Some(newest), "nothing is done to who was asked");
}

#[tokio::test]
async fn silent_and_older_nodes_have_no_state_and_hold_nobody_up() {
    let rig = Rig::new(3).await;
    let desk = rig.desk(1);
    rig.becomes(2, Peer::Frozen);
    rig.becomes(3, Peer::Answers(Router::new()));
    timeout(2 * ANSWER_LIMIT, desk.take_over()).await.expect("the frozen one is not waited for");
    assert_eq!(rig.on_disk(1), None);

    rig.grant(2).await;
    assert!(desk.ask_evaluator().await.is_none());
    assert!(desk.page().evaluator_error.is_some_and(|why| why.contains("d2:8088 did not answer")));
    rig.grant(3).await;
    assert!(desk.ask_evaluator().await.is_none());
    assert!(desk.page().evaluator_error.is_some_and(|why| why.contains("release")));
    rig.grant(1).await;
    assert!(desk.ask_evaluator().await.is_none());
    assert_eq!(desk.page().evaluator_error, None);

    // Nobody has asked: there is nobody to wait for.
    let handing = desk.hand_over(Edition { term: 1, number: 1 });
    timeout(HAND_OVER_LIMIT / 2, handing).await.expect("it ends at once");
}

#[tokio::test]
async fn a_state_that_is_damaged_on_its_way_is_not_kept() {
    let rig = Rig::new(2).await;
    let kept = rig.leave_state(1, 2).await;
    rig.leave_state(2, 3).await;
    let mut bytes = stored_state(&rig.state_dir(2)).unwrap().unwrap().into_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    let desk = rig.desk(1);
    let edition = Edition { term: 3, number: 2 };
    desk.take_in(Told { state: Some(bytes), ..told(2, edition, "a") });
    assert_eq!(rig.on_disk(1), Some(kept));
    assert_eq!(desk.page().source.as_deref(), Some("a"), "the page is whole");
}
