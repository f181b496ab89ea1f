//! The commands there are, and how one of them is run.

use crate::{
    CtlError, Environment, Streams,
    client::Client,
    commands::{self, Context},
    flags::{Flag, FlagError, Flags},
    options::{GLOBAL, Options},
    usage,
};

/// A command of the program.
#[derive(Debug)]
pub(crate) struct Command {
    /// Its name; two words where it belongs to a group.
    pub(crate) name: &'static str,
    /// What follows its options.
    pub(crate) arguments: &'static str,
    /// One sentence.
    pub(crate) summary: &'static str,
    /// Its own options.
    pub(crate) flags: &'static [Flag],
    /// Lines behind the program's name.
    pub(crate) examples: &'static [&'static str],
    /// What it does.
    action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    AddMeta,
    AddData,
    RemoveMeta,
    RemoveData,
    UpdateData,
    Show,
    ShowShards,
    CopyShard,
    CopyShardStatus,
    KillCopyShard,
    RemoveShard,
    TruncateShards,
    ShowLag,
    EntropyShow,
    EntropyRepair,
    EntropyKillRepair,
    LabelsSet,
    LabelsDelete,
    Join,
    Leave,
    Token,
    /// Listed here, done by whoever calls [`run`]: it works on a server and on files.
    Elsewhere,
}

impl Action {
    /// Whether it prints what a meta node knows, which may be old where nobody leads.
    const fn shows(self) -> bool {
        match self {
            Self::Show | Self::ShowShards | Self::ShowLag | Self::EntropyShow | Self::CopyShardStatus => true,
            Self::AddMeta
            | Self::AddData
            | Self::RemoveMeta
            | Self::RemoveData
            | Self::UpdateData
            | Self::CopyShard
            | Self::KillCopyShard
            | Self::RemoveShard
            | Self::TruncateShards
            | Self::EntropyRepair
            | Self::EntropyKillRepair
            | Self::LabelsSet
            | Self::LabelsDelete
            | Self::Join
            | Self::Leave
            | Self::Token
            | Self::Elsewhere => false,
        }
    }
}

const YES: Flag = Flag::switch("y", "Answer questions with yes");
const FORCE: Flag = Flag::switch("force", "Do not contact the node: it is gone for good");
const NODE: Flag = Flag::valued("nodeid", "id", "Number of the data node, as show prints it");

/// In the order of the usage.
pub(crate) const COMMANDS: [Command; 25] = [
    Command {
        name: "add-data",
        arguments: "<tcpAddr>",
        summary: "Add a data node",
        flags: &[],
        examples: &["add-data data1:8088", "-bind meta1:8091 add-data data1:8088"],
        action: Action::AddData,
    },
    Command {
        name: "add-meta",
        arguments: "<httpAddr>",
        summary: "Add a meta node",
        flags: &[],
        examples: &["add-meta meta2:8091"],
        action: Action::AddMeta,
    },
    Command {
        name: "backup",
        arguments: "<dir>",
        summary: "Copy databases into a directory (backup --help)",
        flags: &[],
        examples: &[],
        action: Action::Elsewhere,
    },
    Command {
        name: "copy-shard",
        arguments: "<src> <dest> <shardID>",
        summary: "Copy a shard between data nodes",
        flags: &[],
        examples: &["copy-shard data1:8088 data2:8088 22"],
        action: Action::CopyShard,
    },
    Command {
        name: "copy-shard-status",
        arguments: "",
        summary: "Show all copies of shards under way",
        flags: &[],
        examples: &["copy-shard-status"],
        action: Action::CopyShardStatus,
    },
    Command {
        name: "entropy show",
        arguments: "",
        summary: "Show shards whose copies differ",
        flags: &[],
        examples: &["entropy show"],
        action: Action::EntropyShow,
    },
    Command {
        name: "entropy repair",
        arguments: "<shardID>",
        summary: "Queue a shard for repair",
        flags: &[],
        examples: &["entropy repair 21179"],
        action: Action::EntropyRepair,
    },
    Command {
        name: "entropy kill-repair",
        arguments: "<shardID>",
        summary: "Take a shard off the queue of repairs",
        flags: &[],
        examples: &["entropy kill-repair 21179"],
        action: Action::EntropyKillRepair,
    },
    Command {
        name: "join",
        arguments: "[metaHttpAddr]",
        summary: "Join the meta and data nodes of this machine to a cluster",
        flags: &[
            Flag::switch("v", "Say why a node was not added"),
            Flag::switch("p", "Add the data node as a passive one: it takes writes and owns nothing"),
            Flag::valued("meta", "host:port", "Where this machine's meta node is (default <hostname>:8091)"),
            Flag::valued("data", "host:port", "Where this machine's data node is (default <hostname>:8088)"),
        ],
        examples: &["join", "join meta1:8091"],
        action: Action::Join,
    },
    Command {
        name: "kill-copy-shard",
        arguments: "<src> <dest> <shardID>",
        summary: "Stop copying a shard",
        flags: &[],
        examples: &["kill-copy-shard data1:8088 data2:8088 22"],
        action: Action::KillCopyShard,
    },
    Command {
        name: "leave",
        arguments: "",
        summary: "Remove the meta and data nodes of this machine from their cluster",
        flags: &[
            YES,
            Flag::valued("meta", "host:port", "Where this machine's meta node is (default <hostname>:8091)"),
            Flag::valued("data", "host:port", "Where this machine's data node is (default <hostname>:8088)"),
        ],
        examples: &["leave", "leave -y"],
        action: Action::Leave,
    },
    Command {
        name: "node-labels set",
        arguments: "",
        summary: "Set labels of a data node",
        flags: &[NODE, Flag::valued("labels", "json", "Labels and values, such as {\"rack\":\"r1\"}")],
        examples: &["node-labels set -nodeid 4 -labels '{\"rack\":\"r1\",\"dc\":\"east\"}'"],
        action: Action::LabelsSet,
    },
    Command {
        name: "node-labels delete",
        arguments: "",
        summary: "Delete labels of a data node (also: node-labels unset)",
        flags: &[NODE, Flag::valued("labels", "json", "Names of labels, such as [\"rack\"]")],
        examples: &["node-labels delete -nodeid 4 -labels '[\"rack\"]'"],
        action: Action::LabelsDelete,
    },
    // Another name of the one above; left out of the usage.
    Command {
        name: "node-labels unset",
        arguments: "",
        summary: "",
        flags: &[NODE, Flag::valued("labels", "json", "Names of labels, such as [\"rack\"]")],
        examples: &["node-labels unset -nodeid 4 -labels '[\"rack\"]'"],
        action: Action::LabelsDelete,
    },
    Command {
        name: "remove-data",
        arguments: "<tcpAddr>",
        summary: "Remove a data node",
        flags: &[FORCE],
        examples: &["remove-data data2:8088", "remove-data -force data2:8088"],
        action: Action::RemoveData,
    },
    Command {
        name: "remove-meta",
        arguments: "<httpAddr>",
        summary: "Remove a meta node",
        flags: &[FORCE, Flag::valued("tcpAddr", "host:port", "The node's raft address (with -force)"), YES],
        examples: &["remove-meta meta3:8091", "remove-meta -force -tcpAddr meta3:8089 -y meta3:8091"],
        action: Action::RemoveMeta,
    },
    Command {
        name: "remove-shard",
        arguments: "<src> <shardID>",
        summary: "Remove a shard from a data node",
        flags: &[],
        examples: &["remove-shard data1:8088 22"],
        action: Action::RemoveShard,
    },
    Command {
        name: "restore",
        arguments: "<dir>",
        summary: "Make databases of a backup (restore --help)",
        flags: &[],
        examples: &[],
        action: Action::Elsewhere,
    },
    Command {
        name: "show",
        arguments: "",
        summary: "Show the nodes of the cluster",
        flags: &[Flag::switch("v", "With labels, the leader and its peers")],
        examples: &["show", "show -v"],
        action: Action::Show,
    },
    Command {
        name: "show-lag",
        arguments: "",
        summary: "Show how far data nodes have applied the log",
        flags: &[],
        examples: &["show-lag"],
        action: Action::ShowLag,
    },
    Command {
        name: "show-shards",
        arguments: "",
        summary: "Show the shards of the cluster",
        flags: &[
            Flag::switch("v", "With the state of each copy"),
            Flag::switch("m", "Only shards that are on disk and not in the metadata, or the other way round"),
        ],
        examples: &["show-shards", "show-shards -v", "show-shards -m"],
        action: Action::ShowShards,
    },
    Command {
        name: "token",
        arguments: "",
        summary: "Make a signed token (JWT)",
        flags: &[Flag::valued("exp", "duration", "How long it is good for (default 1m0s)")],
        examples: &["-auth-type jwt -user admin -secret S token -exp 1h"],
        action: Action::Token,
    },
    Command {
        name: "truncate-shards",
        arguments: "",
        summary: "Cut the present shards short, so that new nodes take part in the next",
        flags: &[Flag::valued("delay", "duration", "How far ahead they are cut (default 1m0s)")],
        examples: &["truncate-shards", "truncate-shards -delay 3m"],
        action: Action::TruncateShards,
    },
    Command {
        name: "update-data",
        arguments: "<oldTcpAddr> <newTcpAddr>",
        summary: "Tell the cluster a data node's new address",
        flags: &[],
        examples: &["update-data data1:8088 data1.example.com:8088"],
        action: Action::UpdateData,
    },
    Command {
        name: "help",
        arguments: "[command]",
        summary: "Show this, or the usage of a command",
        flags: &[],
        examples: &["help copy-shard"],
        action: Action::Elsewhere,
    },
];

/// Runs one command line, without the program's name, and gives the status to exit with.
pub async fn run(arguments: &[String], environment: Environment, mut streams: Streams<'_>) -> u8 {
    let program = environment.program.clone();
    let (command, result) = match find(arguments, &program) {
        Ok(Found::Usage(text)) => return exit_code(&streams.print_raw(&text)),
        Ok(Found::Command(command, flags)) => {
            let result = act(command, flags, environment, &mut streams).await;
            (Some(command), result)
        }
        Err(Mistake::Line { text, usage }) => {
            streams.tell(&text);
            if let Some(usage) = usage {
                streams.tell(usage.trim_end());
                return 2;
            }
            return 1;
        }
    };
    if let (Some(command), Err(error)) = (command, &result) {
        streams.tell(&error.line(command.name));
        if let CtlError::Usage(_) = error {
            streams.tell(usage::of_command(&program, command).trim_end());
        }
    }
    exit_code(&result)
}

fn exit_code(result: &Result<(), CtlError>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => error.exit_code(),
    }
}

/// What a line asks for.
enum Found {
    Usage(String),
    Command(&'static Command, Flags),
}

/// What is wrong with a line.
enum Mistake {
    /// `usage` where an option is the mistake.
    Line { text: String, usage: Option<String> },
}

fn find(arguments: &[String], program: &str) -> Result<Found, Mistake> {
    let whole =
        |error: FlagError| Mistake::Line { text: error.to_string(), usage: Some(usage::of_program(program)) };
    let (before, rest) = match Flags::parse_leading(arguments, &GLOBAL) {
        Ok(found) => found,
        Err(FlagError::Help) => return Ok(Found::Usage(usage::of_program(program))),
        Err(error) => return Err(whole(error)),
    };
    let Some((name, rest)) = rest.split_first() else { return Ok(Found::Usage(usage::of_program(program))) };
    if name == "help" {
        return help(rest, program);
    }
    let (command, rest) = match (named(&[name]), rest.split_first()) {
        (Some(command), _) => (command, rest),
        (None, Some((second, others))) if named(&[name, second]).is_some() => match named(&[name, second]) {
            Some(command) => (command, others),
            None => return Err(unknown(name, program)),
        },
        (None, second) if is_group(name) => return group(name, second.map(|(second, _)| second), program),
        (None, _) => return Err(unknown(name, program)),
    };
    let known: Vec<Flag> = command.flags.iter().chain(&GLOBAL).copied().collect();
    match Flags::parse(rest, &known) {
        Ok(flags) => Ok(Found::Command(command, flags.after(before))),
        Err(FlagError::Help) => Ok(Found::Usage(usage::of_command(program, command))),
        Err(error) => Err(Mistake::Line {
            text: format!("{}: {error}", command.name),
            usage: Some(usage::of_command(program, command)),
        }),
    }
}

fn help(words: &[String], program: &str) -> Result<Found, Mistake> {
    let names: Vec<&String> = words.iter().collect();
    match (names.as_slice(), named(&names)) {
        ([], _) => Ok(Found::Usage(usage::of_program(program))),
        (_, Some(command)) => Ok(Found::Usage(usage::of_command(program, command))),
        ([name], None) if is_group(name) => Ok(Found::Usage(usage::of_group(program, name))),
        ([name, ..], None) => Err(unknown(name, program)),
    }
}

/// A group without one of its commands.
fn group(name: &str, second: Option<&String>, program: &str) -> Result<Found, Mistake> {
    match second.map(String::as_str) {
        None | Some("-h" | "-help" | "--help") => Ok(Found::Usage(usage::of_group(program, name))),
        Some(second) => Err(unknown(&format!("{name} {second}"), program)),
    }
}

fn unknown(name: &str, program: &str) -> Mistake {
    let text = format!("unknown command {name:?}\nRun '{program} help' for usage");
    Mistake::Line { text, usage: None }
}

fn named(words: &[&String]) -> Option<&'static Command> {
    let name = words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" ");
    COMMANDS.iter().find(|command| command.name == name && command.name != "help")
}

fn is_group(name: &str) -> bool {
    COMMANDS.iter().any(|command| command.name.split_once(' ').is_some_and(|(group, _)| group == name))
}

async fn act(
    command: &'static Command,
    flags: Flags,
    environment: Environment,
    streams: &mut Streams<'_>,
) -> Result<(), CtlError> {
    let options = Options::of(&flags, &environment)?;
    if command.action == Action::Token {
        return commands::token::run(&flags, &options, streams);
    }
    let client = Client::new(&options)?;
    let mut context = Context { client, flags, environment, streams };
    let done = carry_out(command.action, &mut context).await;
    if let Some(unled) = context.client.unled().filter(|_| command.action.shows()) {
        context.streams.tell(&format!("{}: {unled}", command.name));
    }
    done
}

async fn carry_out(action: Action, context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    match action {
        Action::AddMeta => commands::nodes::add_meta(context).await,
        Action::AddData => commands::nodes::add_data(context).await,
        Action::RemoveMeta => commands::remove_meta::run(context).await,
        Action::RemoveData => commands::nodes::remove_data(context).await,
        Action::UpdateData => commands::nodes::update_data(context).await,
        Action::Show => commands::show::run(context).await,
        Action::ShowShards => commands::show_shards::run(context).await,
        Action::ShowLag => commands::lag::show(context).await,
        Action::CopyShard => commands::copy_shard::run(context).await,
        Action::CopyShardStatus => commands::copy_shard::status(context).await,
        Action::KillCopyShard => commands::copy_shard::kill(context).await,
        Action::RemoveShard => commands::shards::remove(context).await,
        Action::TruncateShards => commands::shards::truncate(context).await,
        Action::EntropyShow => commands::entropy::show(context).await,
        Action::EntropyRepair => commands::entropy::repair(context).await,
        Action::EntropyKillRepair => commands::entropy::kill_repair(context).await,
        Action::LabelsSet => commands::labels::set(context).await,
        Action::LabelsDelete => commands::labels::delete(context).await,
        Action::Join => commands::join::run(context).await,
        Action::Leave => commands::leave::run(context).await,
        // Handled above, or by the caller before it comes here.
        Action::Token | Action::Elsewhere => Err(CtlError::local("is not a command of the cluster")),
    }
}
