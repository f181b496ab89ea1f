//! The interactive shell: the line editor in front of a session.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use rustyline::{
    Cmd, CompletionType, Config, Editor, Event, EventHandler, KeyCode, KeyEvent, Modifiers,
    error::ReadlineError, history::DefaultHistory,
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use crate::{
    editor::Assistant,
    history::to_keep,
    session::{Outcome, Session, SessionError, banner, tell},
    style::Style,
};

/// Lines that are remembered.
const HISTORY_LINES: usize = 5_000;

type LineEditor = Editor<Assistant, DefaultHistory>;

/// Reads and runs what is typed until `exit` or the end of input. `history` is where lines are kept, if anywhere.
/// Ctrl-C ends a running statement, not the shell.
pub fn run_interactive(
    session: &mut Session,
    runtime: &Runtime,
    history: Option<&Path>,
) -> Result<(), SessionError> {
    let server = runtime.block_on(session.ping())?.clone();
    let style = Style::detect(&io::stdout());
    let place = session.client().server();
    session.become_interactive();
    writeln!(session.output, "Connected to {}", style.bold(&banner(&place, &server)))?;
    writeln!(session.output, "{}", style.dim("Tab completes, help lists commands, Ctrl-D leaves."))?;
    session.output.flush()?;
    let mut editor = editor(session, runtime, style).map_err(terminal)?;
    if let Some(history) = history {
        // The first session has no history yet.
        editor.load_history(history).unwrap_or_default();
    }
    session.history = editor.history().iter().cloned().collect();
    loop {
        let typed = match editor.readline(&prompt(session)) {
            Ok(typed) => typed,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(terminal(error)),
        };
        if let Some(line) = to_keep(&typed) {
            remember(&mut editor, line, history, session);
        }
        if run(session, runtime, &typed)? == Outcome::Exit {
            return Ok(());
        }
    }
}

/// Runs a text unless Ctrl-C comes first: then the connection is closed, which ends the query on the server.
fn run(session: &mut Session, runtime: &Runtime, text: &str) -> Result<Outcome, SessionError> {
    let outcome = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            biased;
            _ = interrupt.recv() => Ok(None),
            outcome = session.run_script(text, true) => outcome.map(Some),
        }
    })?;
    session.output.flush()?;
    Ok(outcome.unwrap_or_else(|| {
        tell("\ncancelled");
        Outcome::Failed
    }))
}

fn editor(session: &Session, runtime: &Runtime, style: Style) -> rustyline::Result<LineEditor> {
    let config = Config::builder()
        .max_history_size(HISTORY_LINES)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .completion_prompt_limit(200)
        .build();
    let mut editor = LineEditor::with_config(config)?;
    editor.set_helper(Some(Assistant::new(session.schema(), runtime.handle().clone(), style)));
    // A line feed wherever one is wanted, whole or not.
    editor.bind_sequence(
        Event::from(KeyEvent(KeyCode::Enter, Modifiers::ALT)),
        EventHandler::Simple(Cmd::Newline),
    );
    Ok(editor)
}

fn prompt(session: &Session) -> String {
    let settings = &session.settings;
    match (settings.database.as_str(), settings.policy.as_str()) {
        ("", _) => "> ".to_owned(),
        (database, "") => format!("{database}> "),
        (database, policy) => format!("{database}.{policy}> "),
    }
}

/// In the file at once: a shell that is killed forgets nothing.
fn remember(editor: &mut LineEditor, line: String, file: Option<&Path>, session: &mut Session) {
    if editor.add_history_entry(line.as_str()).unwrap_or_default() {
        session.history.push(line);
    }
    if let Some(file) = file {
        if let Some(directory) = file.parent() {
            // If it cannot be made, appending says so.
            fs::create_dir_all(directory).unwrap_or_default();
        }
        if let Err(error) = editor.append_history(file) {
            tell(&format!("the history cannot be kept in {}: {error}", file.display()));
        }
    }
}

fn terminal(error: ReadlineError) -> SessionError {
    SessionError::Output(match error {
        ReadlineError::Io(error) => error,
        error => io::Error::other(error),
    })
}
