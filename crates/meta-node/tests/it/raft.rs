//! Elections, failover, restarts, snapshots, and what is said when nothing can be decided.

use std::time::Duration;

use skywatch_meta::CatalogueError;
use skywatch_meta_node::{
    ExecuteError, Watched,
    data_calls::{Execute, Executed, Watch},
};
use skywatch_rpc::{CallError, tell};
use tokio::time::Instant;

use crate::wire::{Host, Wire, alike, cluster, create, execute, leader, until};

#[tokio::test(start_paused = true)]
async fn any_node_carries_out_commands_and_all_end_up_alike() {
    let hosts = cluster(&Wire::default(), 3, |_| ()).await;
    for host in &hosts {
        execute(host, create(&host.name)).await;
    }
    let refused = execute(&hosts[1], create("..")).await;
    assert_eq!(refused.result, Err(CatalogueError::InvalidName), "typed, from the leader through a follower");
    alike(&hosts.iter().collect::<Vec<_>>()).await;
    let names: Vec<_> = hosts[2].catalogue().databases().iter().map(|it| it.name.clone()).collect();
    assert_eq!(names, ["m1", "m2", "m3"]);
}

#[tokio::test(start_paused = true)]
async fn another_leads_within_seconds_and_the_old_one_catches_up() {
    let wire = Wire::default();
    let hosts = cluster(&wire, 3, |_| ()).await;
    let old = leader(&hosts);
    wire.cut(&hosts[old].name);
    let (a, b) = (&hosts[(old + 1) % 3], &hosts[(old + 2) % 3]);
    let begun = Instant::now();
    while a.node().execute(create("after")).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "no leader yet");
    }
    println!("a change was made {:?} after the leader was cut off", begun.elapsed());
    // The one that is cut off knows that it may not be the leader any more.
    let error = hosts[old].node().execute(create("lost")).await.unwrap_err();
    assert!(error.to_string().starts_with("no leader"), "{error}");
    assert!(hosts[old].node().age().is_none_or(|age| age >= Duration::from_secs(1)));
    alike(&[a, b]).await;
    wire.heal();
    alike(&hosts.iter().collect::<Vec<_>>()).await;
    assert!(hosts[old].catalogue().database("after").is_some());
}

#[tokio::test(start_paused = true)]
async fn without_a_majority_the_answer_is_quick_and_counts() {
    let wire = Wire::default();
    let mut hosts = cluster(&wire, 3, |_| ()).await;
    let stays = (leader(&hosts) + 1) % 3;
    for (number, host) in hosts.iter_mut().enumerate() {
        if number != stays {
            host.stop().await;
        }
    }
    for _ in 0..8 {
        let begun = Instant::now();
        let error = hosts[stays].node().execute(create("x")).await.unwrap_err();
        let told = ExecuteError::NoLeader { answering: 1, members: 3, is_proposed: false };
        assert_eq!(error, told);
        assert_eq!(error.to_string(), "no leader: 1 of 3 meta nodes answer, 2 are needed: start the others");
        assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    // What is known is told all the same.
    assert_eq!(hosts[stays].catalogue().meta_nodes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_leader_alone_stops_promising() {
    let wire = Wire::default();
    let hosts = cluster(&wire, 3, |_| ()).await;
    let leads = leader(&hosts);
    wire.cut(&hosts[(leads + 1) % 3].name);
    wire.cut(&hosts[(leads + 2) % 3].name);
    let mut told = Vec::new();
    for _ in 0..4 {
        let begun = Instant::now();
        told.push(hosts[leads].node().execute(create("x")).await.unwrap_err().to_string());
        assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    assert_eq!(
        told[0],
        "no leader: 1 of 3 meta nodes answer, 2 are needed: start the others; the change may still be made",
        "it did not know yet"
    );
    assert_eq!(told[3], "no leader: 1 of 3 meta nodes answer, 2 are needed: start the others");
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let wire = Wire::default();
    let mut hosts = cluster(&wire, 3, |_| ()).await;
    execute(&hosts[0], create("kept")).await;
    alike(&hosts.iter().collect::<Vec<_>>()).await;
    let before = hosts[1].catalogue().to_bytes();
    for host in &mut hosts {
        host.stop().await;
    }
    hosts[1].boot().await;
    // Nobody else is there; what is known to be committed is shown.
    assert_eq!(hosts[1].catalogue().to_bytes(), before);
    hosts[2].boot().await;
    until("an election", || hosts[1].leads() || hosts[2].leads()).await;
    execute(&hosts[1], create("more")).await;
    hosts[0].boot().await;
    alike(&hosts.iter().collect::<Vec<_>>()).await;
    assert!(hosts[0].catalogue().database("more").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_single_server_begins_by_itself_and_goes_on() {
    let mut host = Host::start(&Wire::default(), "m1", |settings| settings.single_server = true).await;
    assert_eq!(execute(&host, create("a")).await.result.map(|applied| applied.changed), Ok(true));
    let cluster_id = host.catalogue().cluster_id();
    host.stop().await;
    host.boot().await;
    until("it leads again", || host.leads()).await;
    assert_eq!(host.catalogue().cluster_id(), cluster_id);
    assert_eq!(host.catalogue().meta_nodes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_gets_a_snapshot_where_the_log_is_gone() {
    let wire = Wire::default();
    let hosts = cluster(&wire, 2, |settings| settings.snapshot_after = 10).await;
    for number in 0..100 {
        execute(&hosts[0], create(&format!("db{number}"))).await;
    }
    let mut late = Host::start(&wire, "m3", |settings| settings.snapshot_after = 10).await;
    assert_eq!(hosts[0].node().join(&late.http()).await.unwrap().id.0, 3);
    alike(&[&hosts[0], &hosts[1], &late]).await;
    assert_eq!(late.catalogue().databases().len(), 100);
    // And it has it on its disk, with all that came after.
    late.stop().await;
    execute(&hosts[0], create("while it was away")).await;
    late.boot().await;
    assert_eq!(late.catalogue().databases().len(), 100);
    alike(&[&hosts[0], &hosts[1], &late]).await;
    assert_eq!(late.node().catalogue().0, hosts[0].node().catalogue().0, "indexes are the same everywhere");
}

#[tokio::test(start_paused = true)]
async fn who_watches_hears_of_changes_and_of_how_old_the_news_is() {
    let wire = Wire::default();
    let hosts = cluster(&wire, 3, |_| ()).await;
    let follower = &hosts[(leader(&hosts) + 1) % 3];
    let me = wire.end("d1");
    let address = follower.http();
    let ask = |index, wait_ms| {
        let (me, address) = (me.clone(), address.clone());
        async move {
            let question = Watch { index, wait_ms };
            let within = Duration::from_secs(10);
            tell::<_, Watched>(&*me, &address, "meta.watch", &question, within).await.unwrap()
        }
    };
    until("the follower to know how old its catalogue is", || follower.node().age().is_some()).await;
    // What the nodes tell each other when they start has been told by then.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let first = ask(0, 0).await;
    assert_eq!(first.catalogue.as_ref(), Some(&*follower.catalogue()));
    assert!(first.age_ms.is_some_and(|age| age < 2_000), "{:?}", first.age_ms);
    let begun = Instant::now();
    let nothing = ask(first.index, 700).await;
    assert_eq!((nothing.index, nothing.catalogue), (first.index, None));
    assert!(begun.elapsed() >= Duration::from_millis(700));
    let waiting = tokio::spawn(ask(first.index, 60_000));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let question = Execute { command: create("news"), forwarded: false };
    let within = Duration::from_secs(3);
    let done: Executed = tell(&*me, &follower.http(), "meta.execute", &question, within).await.unwrap();
    let told = waiting.await.unwrap();
    assert_eq!(told.index, done.index);
    assert!(told.catalogue.unwrap().database("news").is_some());
    // Cut off from the others it tells the same, and that it is old.
    let others: Vec<&Host> = hosts.iter().filter(|host| host.name != follower.name).collect();
    others.iter().for_each(|host| wire.cut(&host.name));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(ask(0, 0).await.age_ms.is_none_or(|age| age >= 4_000));
}

#[tokio::test(start_paused = true)]
async fn a_call_for_another_member_is_refused() {
    let wire = Wire::default();
    let hosts = cluster(&wire, 1, |_| ()).await;
    let head = serde_json::json!({ "to": 1 });
    let answer: Result<serde_json::Value, CallError> =
        tell(&*wire.end("x"), "m1:8089", "raft.vote", &head, Duration::from_secs(1)).await;
    let failure = answer.unwrap_err().failure().cloned().unwrap();
    assert!(failure.text.contains("there is member"), "{}", failure.text);
    drop(hosts);
}
