//! How long it is noticed that machines are gone, in virtual time.

use std::time::Duration;

use skywatch_simulation::{
    check,
    outage::{Outage, With},
};

/// A data node goes, which nobody notices for longer than two seconds.
const fn outage(name: &'static str, nodes: usize) -> Outage {
    let limit = Duration::from_secs(2);
    Outage { name, nodes, with: With::Nobody, unseen: false, after_hiccup: false, limit }
}

#[test]
fn one_of_two_data_nodes_goes() {
    println!("{:?}", check(outage("one_of_two_data_nodes_goes", 2), 6));
}

#[test]
fn one_of_two_data_nodes_goes_with_the_leading_meta_node() {
    let name = "one_of_two_data_nodes_goes_with_the_leading_meta_node";
    println!("{:?}", check(Outage { with: With::Leader, ..outage(name, 2) }, 6));
}

#[test]
fn one_of_three_data_nodes_goes_with_the_leading_meta_node() {
    let name = "one_of_three_data_nodes_goes_with_the_leading_meta_node";
    println!("{:?}", check(Outage { with: With::Leader, ..outage(name, 3) }, 6));
}

#[test]
fn a_data_node_goes_that_was_taken_for_silent_by_mistake() {
    let name = "a_data_node_goes_that_was_taken_for_silent_by_mistake";
    println!("{:?}", check(Outage { after_hiccup: true, ..outage(name, 3) }, 6));
}

#[test]
fn one_of_two_data_nodes_goes_while_nothing_is_written() {
    let name = "one_of_two_data_nodes_goes_while_nothing_is_written";
    println!("{:?}", check(Outage { unseen: true, ..outage(name, 2) }, 6));
}
