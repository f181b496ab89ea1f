use std::{collections::BTreeMap, sync::atomic::AtomicU64};

use async_trait::async_trait;
use bytes::Bytes;
use skywatch_rpc::{Call, Failure, Reply};

use super::*;

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Answered after so many milliseconds.
    Answers(u64),
    /// Never answered.
    Frozen,
    /// It does not run.
    Refuses,
    /// It answers after so long that it hears of no leader.
    Leaderless(u64),
}

#[derive(Debug)]
struct Wires {
    ways: BTreeMap<String, Way>,
    calls: AtomicU64,
}

#[async_trait]
impl Transport for Wires {
    async fn call(&self, to: &str, _call: Call, within: Duration) -> Result<Reply, CallError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let to_owned = to.to_owned();
        let wait = |ms| tokio::time::sleep(Duration::from_millis(ms));
        match self.ways[to] {
            Way::Answers(ms) => {
                wait(ms).await;
                let head = serde_json::to_vec(to).unwrap().into();
                Ok(Reply { head, body: Bytes::new() })
            }
            Way::Frozen => {
                tokio::time::sleep(within).await;
                Err(CallError::TimedOut { to: to_owned, within })
            }
            Way::Refuses => {
                let reason = "Connection refused (os error 111)".to_owned();
                Err(CallError::Unreachable { to: to_owned, reason })
            }
            Way::Leaderless(ms) => {
                wait(ms).await;
                let failure = Failure::new(FailureKind::Unavailable, "no leader");
                Err(CallError::Failed { to: to_owned, failure })
            }
        }
    }
}

fn nodes(ways: [Way; 3]) -> (MetaNodes, Arc<Wires>) {
    let names = ["m1", "m2", "m3"].map(str::to_owned);
    let ways = names.clone().into_iter().zip(ways).collect();
    let wires = Arc::new(Wires { ways, calls: AtomicU64::new(0) });
    (MetaNodes::new(Arc::clone(&wires) as Arc<dyn Transport>, names.to_vec()), wires)
}

/// Who answered, after how many milliseconds, and how many calls were placed.
async fn ask(ways: [Way; 3], repeat: Repeat) -> (Result<String, String>, u64, u64) {
    let (nodes, wires) = nodes(ways);
    let begun = Instant::now();
    let answer = nodes.ask("meta.execute", &(), repeat).await.map_err(|error| error.to_string());
    (answer, begun.elapsed().as_millis() as u64, wires.calls.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_not_waited_for_where_a_second_call_does_no_harm() {
    let ways = [Way::Frozen, Way::Answers(10), Way::Answers(10)];
    assert_eq!(ask(ways, Repeat::Harmless).await, (Ok("m2".to_owned()), 260, 2));
    // Else the second is asked only when the first has had its time.
    assert_eq!(ask(ways, Repeat::Unwanted).await, (Ok("m2".to_owned()), 2_510, 2));
}

#[tokio::test(start_paused = true)]
async fn nobody_else_is_asked_while_one_answers_soon() {
    let ways = [Way::Answers(249), Way::Answers(0), Way::Answers(0)];
    assert_eq!(ask(ways, Repeat::Harmless).await, (Ok("m1".to_owned()), 249, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_may_still_be_the_first() {
    let ways = [Way::Answers(300), Way::Answers(300), Way::Frozen];
    assert_eq!(ask(ways, Repeat::Harmless).await, (Ok("m1".to_owned()), 300, 2));
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_run_costs_nothing() {
    let ways = [Way::Refuses, Way::Refuses, Way::Answers(5)];
    for repeat in [Repeat::Harmless, Repeat::Unwanted] {
        assert_eq!(ask(ways, repeat).await, (Ok("m3".to_owned()), 5, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn all_are_asked_again_until_it_is_too_late() {
    let (answer, took, calls) = ask([Way::Frozen, Way::Leaderless(20), Way::Refuses], Repeat::Harmless).await;
    assert!(answer.unwrap_err().starts_with("meta service unavailable: "));
    assert_eq!(took, LIMIT.as_millis() as u64);
    assert!((30..120).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn who_answers_counts_whatever_it_says() {
    let (nodes, _) = nodes([Way::Frozen, Way::Leaderless(1), Way::Answers(1)]);
    let within = Duration::from_millis(600);
    for address in ["m1", "m2"] {
        let answer: Result<String, _> = nodes.tell(address, "meta.watch", &(), within).await;
        assert!(answer.is_err());
    }
    assert!(!nodes.most_answered(within), "one of three");
    let answer: Result<String, _> = nodes.tell("m3", "meta.watch", &(), within).await;
    assert!(answer.is_ok() && nodes.most_answered(within));
    tokio::time::advance(within).await;
    assert!(!nodes.most_answered(within), "too long ago");
    nodes.use_addresses(vec!["m9".to_owned()]);
    assert!(!nodes.most_answered(Duration::from_secs(60)));
}
