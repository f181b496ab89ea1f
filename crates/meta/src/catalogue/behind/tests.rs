use super::*;
use crate::{
    Command,
    fixture::{cluster, done, refused},
};

fn mark(node: u64, holder: u64) -> Command {
    Command::MarkBehind { node: NodeId(node), holder: NodeId(holder) }
}

fn clear(node: u64, holder: u64, mark: Option<u64>) -> Command {
    Command::ClearBehind { node: NodeId(node), holder: NodeId(holder), mark }
}

fn number(catalogue: &Catalogue, node: u64, holder: u64) -> Option<u64> {
    catalogue.behind_mark(NodeId(node), NodeId(holder))
}

#[test]
fn a_node_is_behind_as_long_as_anybody_keeps_something_for_it() {
    let mut catalogue = cluster(&["", "", ""], 1);
    done(&mut catalogue, &mark(2, 3));
    done(&mut catalogue, &mark(2, 1));
    assert_eq!(
        catalogue.behind(),
        [Behind { node: NodeId(2), holder: NodeId(1) }, Behind { node: NodeId(2), holder: NodeId(3) }]
    );
    assert!(done(&mut catalogue, &clear(2, 3, None)).changed);
    assert!(!done(&mut catalogue, &clear(2, 3, None)).changed, "again");
    assert!(catalogue.is_behind(NodeId(2)) && !catalogue.is_behind(NodeId(3)));
    done(&mut catalogue, &clear(2, 1, None));
    assert!(!catalogue.is_behind(NodeId(2)));
    assert_eq!(refused(&mut catalogue, &mark(2, 9)), CatalogueError::NodeNotFound(9));
    assert_eq!(refused(&mut catalogue, &mark(9, 2)), CatalogueError::NodeNotFound(9));
}

/// The mark was cleared, the answer got lost, the node fell behind anew, and now the request arrives a second time.
#[test]
fn a_late_request_does_not_clear_a_later_mark() {
    let mut catalogue = cluster(&["", ""], 1);
    done(&mut catalogue, &mark(2, 1));
    let first = number(&catalogue, 2, 1);
    done(&mut catalogue, &clear(2, 1, first));
    done(&mut catalogue, &mark(2, 1));
    assert!(!done(&mut catalogue, &clear(2, 1, first)).changed);
    assert!(catalogue.is_behind(NodeId(2)));
    // The same when the mark was still there: whoever asks for it again does not count on the old number.
    let second = number(&catalogue, 2, 1);
    done(&mut catalogue, &mark(2, 1));
    assert_eq!(catalogue.behind().len(), 1);
    assert!(!done(&mut catalogue, &clear(2, 1, second)).changed);
    let third = number(&catalogue, 2, 1);
    assert!(done(&mut catalogue, &clear(2, 1, third)).changed);
    assert_eq!(number(&catalogue, 2, 1), None);
}

#[test]
fn what_a_removed_node_kept_is_still_lacking_and_what_it_lacked_is_forgotten() {
    let mut catalogue = cluster(&["", "", ""], 1);
    for command in [mark(1, 2), mark(2, 1), mark(2, 3), mark(3, 1)] {
        done(&mut catalogue, &command);
    }
    let kept = number(&catalogue, 1, 2);
    done(&mut catalogue, &Command::DeleteDataNode { id: NodeId(2), at_ns: 1 });
    assert_eq!(
        catalogue.behind(),
        [Behind { node: NodeId(1), holder: NodeId(2) }, Behind { node: NodeId(3), holder: NodeId(1) }]
    );
    assert_eq!(number(&catalogue, 1, 2), kept);
    assert!(done(&mut catalogue, &clear(1, 2, kept)).changed, "once it has been compared with others");
}
