//! `skywatch recover-meta`: makes a meta node with which a cluster begins anew, once most of its meta nodes are lost for good.

mod remains;
mod store;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use skywatch_meta_node::Member;

use crate::{
    cli::MetaArgs,
    config::MetaSettings,
    ctl::print,
    meta::transports,
    recover::remains::{Asked, Gathered, Source},
};

pub(crate) const RECOVER_EXAMPLES: &str = "\
While more than half of the meta nodes run, or can be made to run again, this is not needed:
`skywatch ctl remove-meta -force` takes a lost one out, and another one is added.

Stop the meta node that this is for. Its own store, every node that the catalogue names, and
what --from names are looked at, and the newest catalogue of all is taken: databases, retention
policies, shards and their owners, users, everything. A data node that does not answer may know
a newer one: without its word nothing is done, unless --without names it.

Afterwards the meta node is the only one. The other meta nodes have to be stopped, their
directories emptied, and then they are added as new ones. Writes and queries go on all the
while, as they do without meta nodes.

Examples:
  skywatch recover-meta --config meta.toml                      on a meta node that is left
  skywatch recover-meta --config meta.toml --from data-1:8088   none is left: on a new one
  skywatch recover-meta --config meta.toml --from /mnt/disk-of-meta-2/raft.redb
  skywatch recover-meta --config meta.toml --from /backup/data-1/meta/catalogue.cache";

/// Options of `skywatch recover-meta`.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// Configuration file of the meta node that begins anew
    #[arg(long, value_name = "FILE", env = "INFLUXDB_META_CONFIG_PATH")]
    config: Option<PathBuf>,
    /// Where its catalogue is stored [default: as the file says, or skywatch-meta]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Name of this host, as every other node knows it [default: as the file says, or the system]
    #[arg(long, value_name = "NAME", env = "SKYWATCH_HOSTNAME")]
    hostname: Option<String>,
    /// Look here too: the directory of a meta or a data node or the file in it, or a data node that runs; may be repeated
    #[arg(long, value_name = "PATH|HOST:PORT")]
    from: Vec<String>,
    /// Do without the word of this data node, by its TCP address; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    without: Vec<String>,
    /// Do not ask whether it is meant
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(args: RecoverArgs) -> Result<ExitCode> {
    let RecoverArgs { config, dir, hostname, from, without, yes } = args;
    let settings = MetaSettings::resolve(&MetaArgs { config, dir, hostname, ..MetaArgs::default() })?;
    let member = own_member(&settings)?;
    let mut gathered = Gathered::default();
    gathered.read_own(&settings.dir)?;
    let sources = from.iter().map(|text| Source::parse(text)).collect::<Result<Vec<_>>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(gathered.gather(&sources, &transports(&settings)?))?;
    for line in gathered.lines() {
        print(&line)?;
    }
    let newest = gathered.newest()?;
    gathered.check_leaderless()?;
    check_complete(&gathered, &without)?;

    let catalogue = &newest.catalogue;
    let others = catalogue.meta_nodes().iter().map(|node| node.http_addr.as_str());
    let others: Vec<&str> = others.filter(|address| *address != member.http_addr).collect();
    let own = member.http_addr.clone();
    print(&format!("\nThe cluster begins anew with one meta node, {own}, in {}.", settings.dir.display()))?;
    if !others.is_empty() {
        print(&format!("Forgotten: {}.", others.join(", ")))?;
    }
    if !yes && !is_meant()? {
        bail!("not confirmed, nothing was changed (--yes answers for a script)");
    }
    let written = store::write(&settings.dir, newest, member)?;
    if let Some(aside) = written.aside {
        print(&format!("What was there is now {}.", aside.display()))?;
    }
    print(&next_steps(&own, &others, catalogue))?;
    Ok(ExitCode::SUCCESS)
}

/// The meta node as the others will know it.
fn own_member(settings: &MetaSettings) -> Result<Member> {
    let (http_port, raft_port) = (settings.http_bind.port(), settings.raft_bind.port());
    if http_port == 0 || raft_port == 0 {
        bail!(
            "http-bind-address and bind-address of [meta] need ports: others have to find this meta node by them"
        );
    }
    let own = settings.at(http_port, raft_port);
    if !own.is_named {
        bail!(
            "this meta node would be known as {}, which on other hosts means another machine: say its name with --hostname, \
             or set `hostname` in its configuration",
            own.http_addr
        );
    }
    Ok(Member { http_addr: own.http_addr, raft_addr: own.raft_addr })
}

/// Every data node was heard, or is done without.
fn check_complete(gathered: &Gathered, without: &[String]) -> Result<()> {
    let silent: Vec<&Asked> =
        gathered.silent_data_nodes().filter(|asked| !without.contains(&asked.address)).collect();
    let Some(first) = silent.first() else { return Ok(()) };
    let all: Vec<&str> = silent.iter().map(|asked| asked.address.as_str()).collect();
    bail!(
        "not every data node could be asked what it knows ({}): start them, or give what is left of them with --from. With \
         `--without {}` it is done without, and shards that only such a node knew of are dropped from its disk when it comes \
         back",
        all.join(", "),
        first.address
    )
}

fn is_meant() -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    write!(io::stdout(), "Go on? [y/N]: ").and_then(|()| io::stdout().flush()).context("cannot print")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// What is left to do, as commands.
fn next_steps(own: &str, others: &[&str], catalogue: &skywatch_meta::Catalogue) -> String {
    let mut steps = vec![format!("start the meta node, then: skywatch ctl -bind {own} show")];
    let was_known = catalogue.meta_nodes().iter().any(|node| node.http_addr == own);
    if !was_known {
        let add = |node: &skywatch_meta::DataNode| {
            format!("     skywatch ctl -bind {own} add-data {}", node.tcp_addr)
        };
        let adds: Vec<String> = catalogue.data_nodes().iter().map(add).collect();
        if !adds.is_empty() {
            steps.push(format!("tell every data node where the meta node is now:\n{}", adds.join("\n")));
        }
    }
    if !others.is_empty() {
        steps.push(format!(
            "stop {}, empty their directories, start them, and for each: skywatch ctl -bind {own} add-meta HOST:PORT",
            others.join(", ")
        ));
    }
    let numbered = steps.iter().zip(1..).map(|(step, number)| format!("  {number}. {step}"));
    format!("Done. Next:\n{}", numbered.collect::<Vec<_>>().join("\n"))
}
