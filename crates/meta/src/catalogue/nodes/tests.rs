use super::*;
use crate::{
    Command, DataNode,
    fixture::{add_data_node, cluster, done, refused},
};

fn add_meta_node(http_addr: &str, raft_addr: &str) -> Command {
    Command::CreateMetaNode { http_addr: http_addr.into(), raft_addr: raft_addr.into() }
}

fn update(id: u64, tcp_addr: &str) -> Command {
    Command::UpdateDataNode {
        id: NodeId(id),
        tcp_addr: tcp_addr.into(),
        http_addr: "h:8086".into(),
        https: true,
    }
}

fn label(id: u64, labels: &[(&str, &str)]) -> Command {
    let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Command::LabelDataNode { id: NodeId(id), labels }
}

/// The first name counts: two clusters are told apart for ever.
#[test]
fn a_cluster_is_named_once() {
    let mut catalogue = Catalogue::default();
    assert!(!done(&mut catalogue, &Command::NameCluster { id: 0 }).changed);
    assert!(done(&mut catalogue, &Command::NameCluster { id: 5 }).changed);
    assert!(!done(&mut catalogue, &Command::NameCluster { id: 6 }).changed);
    assert_eq!(catalogue.cluster_id(), 5);
}

/// Three meta nodes are 1 to 3, data nodes 4 and on; a number is not used again.
#[test]
fn meta_and_data_nodes_are_numbered_together() {
    let mut catalogue = Catalogue::default();
    for n in 1..=3 {
        let added = done(&mut catalogue, &add_meta_node(&format!("m{n}:8091"), &format!("m{n}:8089")));
        assert_eq!(added.node, Some(NodeId(n)));
    }
    assert_eq!(done(&mut catalogue, &add_data_node("d1", "")).node, Some(NodeId(4)));
    done(&mut catalogue, &Command::DeleteDataNode { id: NodeId(4), at_ns: 1 });
    assert_eq!(done(&mut catalogue, &add_data_node("d1", "")).node, Some(NodeId(5)), "as a new node");
    done(&mut catalogue, &Command::DeleteMetaNode { id: NodeId(3) });
    assert_eq!(done(&mut catalogue, &add_meta_node("m3:8091", "m3:8089")).node, Some(NodeId(6)));
}

#[test]
fn adding_a_node_again_gives_the_same_number() {
    let mut catalogue = cluster(&["a"], 1);
    done(&mut catalogue, &add_meta_node("m:8091", "m:8089"));
    for command in [add_data_node("d1", "a"), add_data_node("d1", ""), add_meta_node("m:8091", "m:8089")] {
        let before = catalogue.clone();
        let again = done(&mut catalogue, &command);
        assert!(!again.changed && again.node.is_some(), "{command:?}");
        assert_eq!(catalogue, before);
    }
    let moved = done(&mut catalogue, &add_data_node("d1", "b"));
    assert_eq!((moved.node, moved.changed), (Some(NodeId(1)), true));
    assert_eq!(catalogue.data_node(NodeId(1)).unwrap().labels["rack"], "b");
}

#[test]
fn a_meta_node_is_known_by_either_address() {
    let mut catalogue = Catalogue::default();
    done(&mut catalogue, &add_meta_node("m1:8091", "m1:8089"));
    done(&mut catalogue, &add_meta_node("m2:8091", "m2:8089"));
    for (http_addr, raft_addr) in [("m1:9091", "m1:8089"), ("m1:9091", "m1:9089")] {
        let again = done(&mut catalogue, &add_meta_node(http_addr, raft_addr));
        assert_eq!((again.node, again.changed), (Some(NodeId(1)), true));
        assert_eq!(catalogue.meta_nodes()[0].raft_addr, raft_addr);
    }
    let refusal = refused(&mut catalogue, &add_meta_node("m1:9091", "m2:8089"));
    assert!(matches!(refusal, CatalogueError::MetaAddressTaken { .. }), "{refusal}");
}

#[test]
fn a_data_node_moves_and_keeps_its_number() {
    let mut catalogue = cluster(&["", ""], 1);
    let moved = done(&mut catalogue, &update(1, "e1:8088"));
    assert_eq!((moved.node, moved.changed), (Some(NodeId(1)), true));
    assert!(!done(&mut catalogue, &update(1, "e1:8088")).changed, "again");
    let node = catalogue.data_node_at("e1:8088").unwrap();
    assert_eq!((node.id, node.https, node.http_addr.as_str()), (NodeId(1), true, "h:8086"));
    assert_eq!(catalogue.data_node_at("d1:8088"), None);
    assert_eq!(
        refused(&mut catalogue, &update(1, "d2:8088")).to_string(),
        "cannot update data node e1:8088 to d2:8088; d2:8088 is already part of cluster"
    );
    assert_eq!(refused(&mut catalogue, &update(9, "d9:8088")), CatalogueError::NodeNotFound(9));
}

#[test]
fn labels_are_set_and_taken_away() {
    let mut catalogue = cluster(&["a"], 1);
    let labels = |catalogue: &Catalogue| catalogue.data_node(NodeId(1)).unwrap().labels.clone();
    assert!(done(&mut catalogue, &label(1, &[("dc", "x"), ("rack", "")])).changed);
    assert_eq!(labels(&catalogue), BTreeMap::from([("dc".into(), "x".into())]));
    assert!(!done(&mut catalogue, &label(1, &[("dc", "x"), ("rack", "")])).changed, "again");
    assert_eq!(refused(&mut catalogue, &label(2, &[])), CatalogueError::NodeNotFound(2));
}

#[test]
fn nodes_without_an_address_or_of_no_number_are_refused() {
    let mut catalogue = cluster(&[""], 1);
    let nowhere = DataNode { tcp_addr: String::new(), ..catalogue.data_nodes()[0].clone() };
    let DataNode { tcp_addr, http_addr, https, labels, .. } = nowhere;
    for command in [
        Command::CreateDataNode { tcp_addr, http_addr, https, labels },
        update(1, ""),
        add_meta_node("", "m:8089"),
        add_meta_node("m:8091", ""),
    ] {
        assert_eq!(refused(&mut catalogue, &command), CatalogueError::AddressRequired, "{command:?}");
    }
    for command in [
        Command::DeleteDataNode { id: NodeId(7), at_ns: 1 },
        Command::DeleteMetaNode { id: NodeId(1) },
        Command::AnnounceFeatureLevel { node: NodeId(7), level: 1 },
    ] {
        assert!(matches!(refused(&mut catalogue, &command), CatalogueError::NodeNotFound(_)), "{command:?}");
    }
}

/// Versions of points have so many bits for the node.
#[test]
fn there_are_only_so_many_numbers() {
    let mut catalogue = cluster(&[""], 1);
    catalogue.node_id_last = u64::from(Clock::MAX_NODE) - 1;
    done(&mut catalogue, &add_data_node("d2", ""));
    let too_many = CatalogueError::TooManyNodes(u64::from(Clock::MAX_NODE) + 1);
    assert_eq!(refused(&mut catalogue, &add_data_node("d3", "")), too_many);
    assert!(!done(&mut catalogue, &add_data_node("d2", "")).changed, "that one is there");
}
