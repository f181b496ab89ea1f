//! The renderers. Adding one: a file beside this one with `pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile>`, pure,
//! and a line in [`RENDERERS`].

use crate::{
    agents, file::RenderedFile, formation, grafana, haproxy, kafka, keepalived, plan::Plan, runbook,
    skywatch, system, units, zookeeper,
};

/// What makes files of a plan.
type Render = fn(&Plan) -> Vec<RenderedFile>;

/// All of them.
const RENDERERS: &[Render] = &[
    skywatch::render,
    agents::render,
    grafana::render,
    units::render,
    kafka::render,
    zookeeper::render,
    system::render,
    formation::render,
    runbook::render,
    haproxy::render,
    keepalived::render,
];

/// All files of a plan, by path.
#[must_use]
pub fn render(plan: &Plan) -> Vec<RenderedFile> {
    let mut files: Vec<_> = RENDERERS.iter().flat_map(|render| render(plan)).collect();
    let permissions = system::permissions(plan, &files);
    files.extend(permissions);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    debug_assert!(files.windows(2).all(|pair| pair[0].path != pair[1].path), "two renderers write one file");
    files
}
