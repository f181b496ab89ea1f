//! What queries answer where shards lie on other nodes.

use skywatch_cluster::Consistency;
use skywatch_query::QueryRequest;

use crate::support::{Cluster, NOW_NS};

const SERIES: i64 = 40;
const POINTS: i64 = 30;

/// Three nodes and a database of so many copies, with points written through all of them.
fn cluster(copies: u32) -> Cluster {
    let cluster = Cluster::start(3);
    cluster.run(1, &format!("CREATE DATABASE db WITH DURATION INF REPLICATION {copies}"));
    for series in 0..SERIES {
        let lines = (0..POINTS).map(|point| {
            let time = NOW_NS + point * 1_000_000_000;
            format!("m,host=h{series:02} v={},w={}i {time}\n", series * 100 + point, point % 7)
        });
        let body: String = lines.collect();
        cluster.write(1 + series as u64 % 3, &body, Consistency::All).unwrap();
    }
    cluster
}

const QUERIES: [&str; 14] = [
    "SELECT v FROM m",
    "SELECT v FROM m ORDER BY time DESC LIMIT 7",
    "SELECT count(v) FROM m",
    "SELECT mean(v) FROM m GROUP BY host",
    "SELECT max(w) FROM m GROUP BY time(10s), host",
    "SELECT percentile(v, 90) FROM m GROUP BY time(7s)",
    "SELECT first(v) FROM m WHERE host =~ /h1/ GROUP BY host",
    "SELECT v FROM m WHERE w > 4 AND host = 'h07'",
    "SELECT v FROM m WHERE w > 4 AND v < 1500 ORDER BY time DESC LIMIT 9",
    "SELECT v, w FROM m WHERE w = 3 GROUP BY host ORDER BY time DESC LIMIT 1",
    "SELECT last(v) FROM m WHERE w < 2 GROUP BY host",
    "SELECT mean(v), max(w) FROM m WHERE v > 700 AND w != 2 GROUP BY time(10s), host",
    "SELECT sum(w) FROM m WHERE (host = 'h01' OR host =~ /3$/) AND host != 'h33' GROUP BY host",
    "SELECT derivative(mean(v), 1s) FROM m GROUP BY time(5s)",
];

fn bounded(query: &str) -> String {
    let times = format!("time >= {NOW_NS} AND time < {}", NOW_NS + POINTS * 1_000_000_000);
    if let Some((head, tail)) = query.split_once(" WHERE ") {
        return format!("{head} WHERE {times} AND {tail}");
    }
    match query.split_once("FROM m") {
        Some((head, tail)) => format!("{head}FROM m WHERE {times}{tail}"),
        None => query.to_owned(),
    }
}

/// The answers of a cluster in which nothing has gone wrong and every node holds everything.
fn expected() -> Vec<Vec<(i64, String)>> {
    let cluster = cluster(3);
    QUERIES.iter().map(|query| cluster.ask(2, &bounded(query)).unwrap()).collect()
}

#[test]
fn every_node_answers_alike_whoever_holds_the_shards() {
    let expected = expected();
    for copies in [1, 2] {
        let cluster = cluster(copies);
        for node in 1..=3 {
            for (query, expected) in QUERIES.iter().zip(&expected) {
                assert_eq!(
                    cluster.ask(node, &bounded(query)).as_ref(),
                    Ok(expected),
                    "{copies} {node} {query}"
                );
            }
        }
    }
}

#[test]
fn with_a_node_down_the_other_owners_answer_and_without_another_owner_nobody_does() {
    let expected = expected();
    let mut two = cluster(2);
    two.down(3);
    for node in 1..=2 {
        for (query, expected) in QUERIES.iter().zip(&expected) {
            assert_eq!(two.ask(node, &bounded(query)).as_ref(), Ok(expected), "{node} {query}");
        }
    }
    let mut one = cluster(1);
    one.down(3);
    let error = one.ask(1, &bounded("SELECT count(v) FROM m")).unwrap_err();
    assert!(error.contains("shard") && error.contains("node 3"), "{error}");
}

#[test]
fn what_is_created_through_one_node_is_known_to_all_at_once() {
    let cluster = Cluster::start(3);
    for number in 0..5 {
        let (writer, reader) = (1 + number % 3, 1 + (number + 1) % 3);
        if number == 0 {
            cluster.run(writer, "CREATE DATABASE db WITH DURATION INF REPLICATION 1 SHARD DURATION 1h");
        }
        let time = NOW_NS + number as i64 * 7_200_000_000_000;
        cluster.write(writer, &format!("m v={number} {time}"), Consistency::One).unwrap();
        let rows = cluster.ask(reader, &format!("SELECT v FROM m WHERE time >= {time}")).unwrap();
        assert_eq!(rows.len(), 1, "{number}");
    }
}

#[test]
fn the_query_that_meets_damage_is_answered_by_another_owner() {
    let expected = expected();
    let mut cluster = cluster(2);
    let mut met = [0; 3];
    for (number, (query, expected)) in QUERIES.iter().zip(&expected).enumerate() {
        cluster.damage(2);
        let asked = 1 + number % 3;
        assert_eq!(cluster.ask(asked as u64, &bounded(query)).as_ref(), Ok(expected), "{asked} {query}");
        met[asked - 1] += cluster.doubted(2);
        cluster.until_repaired(2);
    }
    assert!(met[1] > 0, "it is met where it is");
    assert!(met[0] + met[2] > 0, "it is met where nodes ask that own no copy");
}

#[test]
fn without_another_owner_damage_is_what_the_query_fails_with() {
    let query = bounded("SELECT percentile(v, 90) FROM m");
    let mut cluster = Cluster::start(2);
    cluster.run(1, "CREATE DATABASE db WITH DURATION INF REPLICATION 2");
    let lines = |host: i64| (0..99).map(move |n| format!("m,host=h{host:02} v={n} {}\n", NOW_NS + n * 7));
    cluster.write(1, &(0..SERIES).flat_map(lines).collect::<String>(), Consistency::All).unwrap();
    let expected = cluster.ask(2, &query);
    assert!(expected.is_ok(), "{expected:?}");

    // What one replica holds is asked of no other.
    cluster.damage(2);
    for node in [2, 1] {
        let own = QueryRequest { node_id: Some(2), ..QueryRequest::new(query.clone(), "db", NOW_NS) };
        let error = cluster.ask_for(node, &own).unwrap_err();
        assert!(error.contains(".seg: block at offset") || error.contains("node 2"), "{node}: {error}");
    }
    assert_eq!(cluster.ask(2, &query), expected);
    cluster.until_repaired(2);

    cluster.damage(2);
    cluster.down(1);
    let error = cluster.ask(2, &query).unwrap_err();
    assert!(error.contains(".seg: block at offset") && error.contains("is damaged"), "{error}");
}
