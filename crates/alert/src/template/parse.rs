//! From text to a checked tree: texts and actions, actions to tokens, tokens to expressions.

use std::collections::BTreeSet;

use super::{
    Scope, TemplateError, Value,
    functions::{FUNCTIONS, METHODS},
};
use crate::limits::YAML_DEPTH_MAX as DEPTH_MAX;

/// One piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    Print(Expr),
    Declare(String, Expr),
    Assign(String, Expr),
    If { branches: Vec<(Expr, Vec<Node>)>, otherwise: Vec<Node> },
    With { value: Expr, body: Vec<Node>, otherwise: Vec<Node> },
    Range { index: Option<String>, item: Option<String>, list: Expr, body: Vec<Node>, otherwise: Vec<Node> },
    Include { name: String, data: Expr },
}

/// Where a path begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Root {
    Dot,
    /// `$`, the data the template was given.
    Dollar,
    Variable(String),
}

/// A value to compute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Literal(Value),
    Path(Root, Vec<String>),
    Chain(Box<Expr>, Vec<String>),
    Call(String, Vec<Expr>),
    /// A method with arguments.
    Method(Box<Expr>, String, Vec<Expr>),
}

/// Parses and checks a whole template, which may include those of these names.
pub(super) fn parse(
    source: &str,
    scope: Scope,
    named: &BTreeSet<String>,
) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser::new(source, scope, named, true)?;
    let nodes = parser.body(None)?;
    debug_assert!(parser.at >= parser.pieces.len());
    Ok(nodes)
}

/// The names in `{{ define "name" }}`.
pub(super) fn defined_names(source: &str) -> Result<Vec<String>, TemplateError> {
    Ok(names_in(&split(source)?).map(str::to_owned).collect())
}

fn names_in(pieces: &[Piece]) -> impl Iterator<Item = &str> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Action(tokens, _) => defined(tokens),
        Piece::Text(_) => None,
    })
}

/// The templates that a text defines; without any, it is itself the template `name`. They are included with whatever data, so
/// that fields of it are not checked.
pub(super) fn definitions(
    name: &str,
    source: &str,
    named: &BTreeSet<String>,
) -> Result<Vec<(String, Vec<Node>)>, TemplateError> {
    let mut parser = Parser::new(source, Scope::Notice, named, false)?;
    let mut templates = Vec::new();
    if names_in(&parser.pieces).next().is_none() {
        return Ok(vec![(name.to_owned(), parser.body(None)?)]);
    }
    while let Some(piece) = parser.pieces.get(parser.at).cloned() {
        parser.at += 1;
        match piece {
            Piece::Text(text) if text.trim().is_empty() => {}
            Piece::Text(text) => {
                let text = crate::labels::shorten(text.trim(), 40);
                return syntax(format!("{text:?} stands outside of {{{{ define }}}}"));
            }
            Piece::Action(tokens, source) => match defined(&tokens) {
                Some(name) => templates.push((name.to_owned(), parser.body(Some("define"))?)),
                None => return syntax(format!("{{{{ {source} }}}} stands outside of {{{{ define }}}}")),
            },
        }
    }
    Ok(templates)
}

/// The name that an action begins to define.
fn defined(tokens: &[Token]) -> Option<&str> {
    match tokens {
        [Token::Word(word), Token::Text(name)] if word == "define" => Some(name),
        _ => None,
    }
}

fn syntax<T>(text: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError::Syntax(text.into()))
}

/// A text between actions, or the tokens of an action with its source for messages.
#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Action(Vec<Token>, String),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64),
    /// `.a.b` or a lone `.`; `glued` when it follows `)` without a space.
    Fields {
        names: Vec<String>,
        glued: bool,
    },
    /// `$`, `$x`, `$x.a.b`.
    Variable(String, Vec<String>),
    Open,
    Close,
    Pipe,
    Comma,
    Declare,
    Assign,
}

/// Cuts a template into texts and actions, honouring `{{-`, `-}}` and comments.
fn split(source: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = source;
    let mut trim_next = false;
    loop {
        let open = rest.find("{{");
        let text = &rest[..open.unwrap_or(rest.len())];
        let text = if trim_next { text.trim_start() } else { text };
        let Some(open) = open else {
            pieces.push(Piece::Text(text.to_owned()));
            return Ok(pieces);
        };
        rest = &rest[open + 2..];
        let trim_before = rest.starts_with('-') && rest[1..].starts_with(char::is_whitespace);
        let text = if trim_before { text.trim_end() } else { text };
        pieces.push(Piece::Text(text.to_owned()));
        if trim_before {
            rest = &rest[1..];
        }
        let comment = rest.trim_start().starts_with("/*");
        let close = if comment {
            rest.find("*/").and_then(|end| find_close(rest, end + 2))
        } else {
            find_close(rest, 0)
        };
        let Some(close) = close else {
            return syntax(format!("\"{{{{{}\" is not closed with }}}}", crate::labels::shorten(rest, 40)));
        };
        let inner = &rest[..close];
        trim_next = inner.ends_with('-') && inner[..inner.len() - 1].ends_with(char::is_whitespace);
        let inner = if trim_next { &inner[..inner.len() - 1] } else { inner };
        if !comment {
            pieces.push(Piece::Action(tokens(inner)?, inner.trim().to_owned()));
        }
        rest = &rest[close + 2..];
    }
}

/// The `}}` that ends an action, looking past quoted texts.
fn find_close(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    let mut quote = None;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, mark @ (b'"' | b'`')) => quote = Some(mark),
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), mark) if open == mark => quote = None,
            _ => {}
        }
        at += 1;
    }
    None
}

fn tokens(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    let mut previous = ' ';
    while let Some(c) = chars.next() {
        let before = std::mem::replace(&mut previous, c);
        match c {
            c if c.is_whitespace() => {}
            '(' => out.push(Token::Open),
            ')' => out.push(Token::Close),
            '|' => out.push(Token::Pipe),
            ',' => out.push(Token::Comma),
            '=' => out.push(Token::Assign),
            ':' if chars.next_if_eq(&'=').is_some() => out.push(Token::Declare),
            '"' | '`' => out.push(Token::Text(quoted(c, &mut chars)?)),
            '.' => out.push(Token::Fields { names: path(c, &mut chars), glued: before == ')' }),
            '$' => {
                let name = word(&mut chars);
                let fields =
                    if chars.next_if_eq(&'.').is_some() { path('.', &mut chars) } else { Vec::new() };
                out.push(Token::Variable(name, fields));
            }
            c if c.is_ascii_digit() || c == '-' || c == '+' => {
                let mut number = String::from(c);
                while let Some(next) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '.') {
                    number.push(next);
                }
                match number.parse() {
                    Ok(number) => out.push(Token::Number(number)),
                    Err(_) => return syntax(format!("{number:?} is no number")),
                }
            }
            c if c.is_alphabetic() || c == '_' => out.push(Token::Word(format!("{c}{}", word(&mut chars)))),
            other => return syntax(format!("{other:?} is not expected in {:?}", text.trim())),
        }
    }
    Ok(out)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn word(chars: &mut Chars<'_>) -> String {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
        word.push(c);
    }
    word
}

/// The names of `.a.b` after its first dot; a lone dot has none.
fn path(_dot: char, chars: &mut Chars<'_>) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let name = word(chars);
        if name.is_empty() {
            return names;
        }
        names.push(name);
        if chars.next_if_eq(&'.').is_none() {
            return names;
        }
    }
}

fn quoted(mark: char, chars: &mut Chars<'_>) -> Result<String, TemplateError> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            c if c == mark => return Ok(text),
            '\\' if mark == '"' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some(c @ ('\\' | '"' | '\'')) => text.push(c),
                other => return syntax(format!("\\{} is no escape", other.unwrap_or(' '))),
            },
            c => text.push(c),
        }
    }
    syntax("a quoted text is not closed")
}

struct Parser<'a> {
    pieces: Vec<Piece>,
    at: usize,
    scope: Scope,
    /// Templates that may be included.
    named: &'a BTreeSet<String>,
    variables: Vec<String>,
    /// Whether the template's data is the scope's, so that fields of `$` can be checked.
    root_is_known: bool,
    /// Whether `.` is known to be the template's data, so that its fields can be checked.
    dot_is_root: bool,
    depth: usize,
}

/// How a body ended.
#[derive(Debug, PartialEq)]
enum End {
    Closed,
    Else,
    ElseIf(Vec<Token>),
}

impl<'a> Parser<'a> {
    fn new(
        source: &str,
        scope: Scope,
        named: &'a BTreeSet<String>,
        root_is_known: bool,
    ) -> Result<Self, TemplateError> {
        Ok(Self {
            pieces: split(source)?,
            at: 0,
            scope,
            named,
            variables: scope.variables().iter().map(|name| (*name).to_owned()).collect(),
            root_is_known,
            dot_is_root: root_is_known,
            depth: 0,
        })
    }

    /// The nodes up to the end of the template, or of the block named `inside`.
    fn body(&mut self, inside: Option<&str>) -> Result<Vec<Node>, TemplateError> {
        let (nodes, end) = self.block(inside)?;
        match (inside, end) {
            (None, None) | (Some(_), Some(End::Closed)) => Ok(nodes),
            (Some(name), None) => syntax(format!("{{{{ {name} }}}} has no {{{{ end }}}}")),
            (_, Some(_)) => syntax("{{ end }} or {{ else }} without a block to end"),
        }
    }

    fn block(&mut self, inside: Option<&str>) -> Result<(Vec<Node>, Option<End>), TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return syntax("blocks are nested too deeply");
        }
        let known = self.variables.len();
        let mut nodes = Vec::new();
        let end = loop {
            let Some(piece) = self.pieces.get(self.at).cloned() else { break None };
            self.at += 1;
            match piece {
                Piece::Text(text) if text.is_empty() => {}
                Piece::Text(text) => nodes.push(Node::Text(text)),
                Piece::Action(tokens, source) => match self.ending(&tokens) {
                    Some(end) if inside.is_some() => break Some(end),
                    Some(_) => return syntax(format!("{{{{ {source} }}}} without a block to end")),
                    None => nodes.push(self.action(&tokens, &source)?),
                },
            }
        };
        self.variables.truncate(known);
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn ending(&self, tokens: &[Token]) -> Option<End> {
        match tokens {
            [Token::Word(word)] if word == "end" => Some(End::Closed),
            [Token::Word(word)] if word == "else" => Some(End::Else),
            [Token::Word(word), Token::Word(next), rest @ ..] if word == "else" && next == "if" => {
                Some(End::ElseIf(rest.to_vec()))
            }
            _ => None,
        }
    }

    fn action(&mut self, tokens: &[Token], source: &str) -> Result<Node, TemplateError> {
        match tokens.first() {
            None => syntax("{{ }} is empty"),
            Some(Token::Word(word)) => match word.as_str() {
                "if" => self.if_block(tokens[1..].to_vec()),
                "with" => self.with_block(&tokens[1..]),
                "range" => self.range_block(&tokens[1..]),
                "template" => self.include(&tokens[1..], source),
                "define" | "block" | "break" | "continue" | "else" => {
                    Err(TemplateError::Keyword { name: word.clone() })
                }
                _ => Ok(Node::Print(self.pipeline(tokens)?)),
            },
            Some(Token::Variable(name, fields)) if fields.is_empty() && !name.is_empty() => {
                match tokens.get(1) {
                    Some(Token::Declare) => {
                        let value = self.pipeline(&tokens[2..])?;
                        self.variables.push(name.clone());
                        Ok(Node::Declare(name.clone(), value))
                    }
                    Some(Token::Assign) => {
                        self.check_variable(name)?;
                        Ok(Node::Assign(name.clone(), self.pipeline(&tokens[2..])?))
                    }
                    _ => Ok(Node::Print(self.pipeline(tokens)?)),
                }
            }
            Some(_) => Ok(Node::Print(self.pipeline(tokens)?)),
        }
    }

    fn if_block(&mut self, condition: Vec<Token>) -> Result<Node, TemplateError> {
        let mut branches = Vec::new();
        let mut condition = condition;
        loop {
            let test = self.pipeline(&condition)?;
            let (body, end) = self.block(Some("if"))?;
            branches.push((test, body));
            match end {
                Some(End::Closed) => return Ok(Node::If { branches, otherwise: Vec::new() }),
                Some(End::Else) => {
                    let otherwise = self.body(Some("else"))?;
                    return Ok(Node::If { branches, otherwise });
                }
                Some(End::ElseIf(next)) => condition = next,
                None => return syntax("{{ if }} has no {{ end }}"),
            }
        }
    }

    fn with_block(&mut self, tokens: &[Token]) -> Result<Node, TemplateError> {
        let value = self.pipeline(tokens)?;
        let (body, otherwise) = self.inner_block("with")?;
        Ok(Node::With { value, body, otherwise })
    }

    fn range_block(&mut self, tokens: &[Token]) -> Result<Node, TemplateError> {
        let declared = tokens.iter().position(|token| *token == Token::Declare);
        let (index, item, list) = match declared {
            None => (None, None, tokens),
            Some(at) => match &tokens[..at] {
                [Token::Variable(item, _)] => (None, Some(item.clone()), &tokens[at + 1..]),
                [Token::Variable(index, _), Token::Comma, Token::Variable(item, _)] => {
                    (Some(index.clone()), Some(item.clone()), &tokens[at + 1..])
                }
                _ => {
                    return syntax(
                        "range: write {{ range $item := list }} or {{ range $key, $item := list }}",
                    );
                }
            },
        };
        let list = self.pipeline(list)?;
        let known = self.variables.len();
        self.variables.extend(index.iter().chain(&item).cloned());
        let (body, otherwise) = self.inner_block("range")?;
        self.variables.truncate(known);
        Ok(Node::Range { index, item, list, body, otherwise })
    }

    /// A body in which `.` is something else than the template's data, and its `else`.
    fn inner_block(&mut self, name: &str) -> Result<(Vec<Node>, Vec<Node>), TemplateError> {
        let outer = std::mem::replace(&mut self.dot_is_root, false);
        let (body, end) = self.block(Some(name))?;
        self.dot_is_root = outer;
        match end {
            Some(End::Closed) => Ok((body, Vec::new())),
            Some(End::Else) => Ok((body, self.body(Some("else"))?)),
            Some(End::ElseIf(_)) => {
                syntax(format!("{{{{ {name} }}}} takes {{{{ else }}}}, not {{{{ else if }}}}"))
            }
            None => syntax(format!("{{{{ {name} }}}} has no {{{{ end }}}}")),
        }
    }

    fn include(&mut self, tokens: &[Token], source: &str) -> Result<Node, TemplateError> {
        let [Token::Text(name), data @ ..] = tokens else {
            return syntax(format!("{{{{ {source} }}}}: write {{{{ template \"default.title\" . }}}}"));
        };
        if self.scope != Scope::Notice {
            return syntax("templates of notices cannot be included in labels and annotations");
        }
        if !self.named.contains(name) {
            let known = self.named.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(TemplateError::Include { name: name.clone(), known });
        }
        let data = if data.is_empty() { Expr::Literal(Value::Missing) } else { self.pipeline(data)? };
        Ok(Node::Include { name: name.clone(), data })
    }

    fn pipeline(&mut self, tokens: &[Token]) -> Result<Expr, TemplateError> {
        let mut cursor = Cursor { tokens, at: 0, depth: 0 };
        let expr = self.pipe(&mut cursor)?;
        match cursor.peek() {
            None => Ok(expr),
            Some(token) => syntax(format!("{} is not expected here", describe(token))),
        }
    }

    fn pipe(&mut self, cursor: &mut Cursor<'_>) -> Result<Expr, TemplateError> {
        cursor.depth += 1;
        if cursor.depth > DEPTH_MAX {
            return syntax("parentheses are nested too deeply");
        }
        let mut value = self.command(cursor, None)?;
        while cursor.peek() == Some(&Token::Pipe) {
            cursor.at += 1;
            value = self.command(cursor, Some(value))?;
        }
        cursor.depth -= 1;
        Ok(value)
    }

    /// A function with its arguments, the piped value coming last; or a single operand.
    fn command(&mut self, cursor: &mut Cursor<'_>, piped: Option<Expr>) -> Result<Expr, TemplateError> {
        if let Some(Token::Word(name)) = cursor.peek()
            && !matches!(name.as_str(), "true" | "false" | "nil")
        {
            let name = name.clone();
            cursor.at += 1;
            let Some((_, least, most)) = FUNCTIONS.iter().find(|(known, _, _)| *known == name) else {
                return Err(unknown_function(name));
            };
            let mut args = Vec::new();
            while cursor.peek().is_some_and(starts_operand) {
                args.push(self.operand(cursor)?);
            }
            args.extend(piped);
            if args.len() < *least || args.len() > *most {
                return syntax(format!(
                    "{name} is given {} arguments and takes {}",
                    args.len(),
                    arity(*least, *most)
                ));
            }
            return Ok(Expr::Call(name, args));
        }
        if piped.is_some() {
            return syntax("only a function can follow |");
        }
        let first = self.operand(cursor)?;
        if !cursor.peek().is_some_and(starts_operand) {
            return Ok(first);
        }
        let Ok((receiver, name)) = method_of(first.clone()) else { return Ok(first) };
        let mut args = Vec::new();
        while cursor.peek().is_some_and(starts_operand) {
            args.push(self.operand(cursor)?);
        }
        match args.len() {
            1 => Ok(Expr::Method(Box::new(receiver), name, args)),
            count => syntax(format!("{name} is given {count} arguments and takes 1")),
        }
    }

    fn operand(&mut self, cursor: &mut Cursor<'_>) -> Result<Expr, TemplateError> {
        let Some(token) = cursor.peek().cloned() else { return syntax("a value is missing") };
        cursor.at += 1;
        match token {
            Token::Text(text) => Ok(Expr::Literal(Value::Text(text))),
            Token::Number(number) => Ok(Expr::Literal(Value::Number(number))),
            Token::Word(word) => match word.as_str() {
                "true" => Ok(Expr::Literal(Value::Bool(true))),
                "false" => Ok(Expr::Literal(Value::Bool(false))),
                "nil" => Ok(Expr::Literal(Value::Missing)),
                _ => match FUNCTIONS.iter().find(|(known, _, _)| *known == word) {
                    Some((_, 0, _)) => Ok(Expr::Call(word, Vec::new())),
                    Some(_) => syntax(format!("put ({word} ...) in parentheses to use it as an argument")),
                    None => Err(unknown_function(word)),
                },
            },
            Token::Fields { names, .. } => {
                if self.dot_is_root {
                    self.check_field(names.first())?;
                }
                Ok(Expr::Path(Root::Dot, names))
            }
            Token::Variable(name, fields) if name.is_empty() => {
                if self.root_is_known {
                    self.check_field(fields.first())?;
                }
                Ok(Expr::Path(Root::Dollar, fields))
            }
            Token::Variable(name, fields) => {
                self.check_variable(&name)?;
                Ok(Expr::Path(Root::Variable(name), fields))
            }
            Token::Open => {
                let inner = self.pipe(cursor)?;
                if cursor.peek() != Some(&Token::Close) {
                    return syntax("a parenthesis is not closed");
                }
                cursor.at += 1;
                if let Some(Token::Fields { names, glued: true }) = cursor.peek() {
                    cursor.at += 1;
                    return Ok(Expr::Chain(Box::new(inner), names.clone()));
                }
                Ok(inner)
            }
            other => syntax(format!("{} is not expected here", describe(&other))),
        }
    }

    fn check_variable(&self, name: &str) -> Result<(), TemplateError> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        let known: Vec<String> = self.variables.iter().map(|known| format!("${known}")).collect();
        let known = if known.is_empty() { "none here".to_owned() } else { known.join(", ") };
        Err(TemplateError::Variable { name: name.to_owned(), known })
    }

    fn check_field(&self, name: Option<&String>) -> Result<(), TemplateError> {
        match name {
            Some(name) if !self.scope.fields().contains(&name.as_str()) => {
                let known: Vec<String> =
                    self.scope.fields().iter().map(|known| format!(".{known}")).collect();
                Err(TemplateError::Field { name: name.clone(), known: known.join(", ") })
            }
            _ => Ok(()),
        }
    }
}

struct Cursor<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }
}

/// A path that ends in the name of a method, taken apart; any other expression as it was.
fn method_of(expr: Expr) -> Result<(Expr, String), Expr> {
    let is_method = |fields: &[String]| fields.last().is_some_and(|name| METHODS.contains(&name.as_str()));
    match expr {
        Expr::Path(root, mut fields) if is_method(&fields) => {
            let name = fields.pop().unwrap_or_default();
            Ok((Expr::Path(root, fields), name))
        }
        Expr::Chain(inner, mut fields) if is_method(&fields) => {
            let name = fields.pop().unwrap_or_default();
            Ok((Expr::Chain(inner, fields), name))
        }
        other => Err(other),
    }
}

fn starts_operand(token: &Token) -> bool {
    !matches!(token, Token::Close | Token::Pipe | Token::Comma | Token::Declare | Token::Assign)
}

fn unknown_function(name: String) -> TemplateError {
    let known: Vec<&str> = FUNCTIONS.iter().map(|(known, _, _)| *known).collect();
    TemplateError::Function { name, known: known.join(", ") }
}

fn arity(least: usize, most: usize) -> String {
    match (least, most) {
        (least, usize::MAX) => format!("{least} or more"),
        (least, most) if least == most => least.to_string(),
        (least, most) => format!("{least} to {most}"),
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("{word:?}"),
        Token::Text(text) => format!("the text {text:?}"),
        Token::Number(number) => number.to_string(),
        Token::Fields { names, .. } => format!("\".{}\"", names.join(".")),
        Token::Variable(name, _) => format!("\"${name}\""),
        Token::Open => "\"(\"".to_owned(),
        Token::Close => "\")\"".to_owned(),
        Token::Pipe => "\"|\"".to_owned(),
        Token::Comma => "\",\"".to_owned(),
        Token::Declare => "\":=\"".to_owned(),
        Token::Assign => "\"=\"".to_owned(),
    }
}
