//! A file and the statements that it and blocks consist of.

use std::sync::Arc;

use super::{Parser, Result};
use crate::{Assignment, Block, File, Import, Kind, Statement, error::Slip, lex::Class};

/// Where a statement stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Of a file, or of a test case, which is a file of its own.
    File,
    /// Between the braces of a function.
    Function,
}

impl<'a> Parser<'a> {
    pub(super) fn file(&mut self) -> Result<File> {
        let mut file = File::default();
        let mut attributes = self.attributes()?;
        if self.take_keyword("package")? {
            file.package = Some(Arc::from(self.name("the package's name")?));
            attributes = self.attributes()?;
        }
        while self.peek()?.is_keyword("import") {
            file.imports.push(self.import()?);
            attributes = self.attributes()?;
        }
        loop {
            let token = self.peek()?;
            if token.class == Class::End {
                break;
            }
            let mut height = 0;
            file.statements.push(self.statement(Scope::File, &mut height)?);
            attributes = self.attributes()?;
        }
        match attributes {
            Some(start) => Err(Slip::new(start, self.end, "an attribute stands before what it is about")),
            None => Ok(file),
        }
    }

    fn import(&mut self) -> Result<Import> {
        let start = self.advance()?.start;
        let named = self.peek()?.class == Class::Name;
        let alias = if named { Some(Arc::from(self.name("a name")?)) } else { None };
        let path = self.plain_text("the package's path in double quotes, such as \"date\"")?;
        Ok(Import { alias, path, span: self.span(start) })
    }

    /// Reads over attributes; where the first began.
    fn attributes(&mut self) -> Result<Option<usize>> {
        let mut first = None;
        while self.peek()?.class == Class::Attribute {
            let start = self.advance()?.start;
            first.get_or_insert(start);
            if !self.peek()?.is_sign("(") {
                continue;
            }
            let open = self.advance()?.start;
            while !self.peek()?.is_sign(")") {
                self.nested(Self::operand)?;
                if !self.take_sign(",")? {
                    break;
                }
            }
            self.close(")", open)?;
        }
        Ok(first)
    }

    /// A statement; what is in it makes what it stands in at least as high.
    pub(super) fn statement(&mut self, scope: Scope, height: &mut usize) -> Result<Statement> {
        let token = self.peek()?;
        match (token.class, token.text) {
            (Class::Keyword, "option") => self.option(scope, height),
            (Class::Keyword, "return") if scope == Scope::Function => {
                self.advance()?;
                Ok(Statement::Return(self.child(height)?))
            }
            (Class::Keyword, "return") => Err(token.slip(
                "`return` stands only between the braces of a function; a value by itself is a file's result",
            )),
            (Class::Keyword, word @ ("builtin" | "testcase")) => {
                if scope == Scope::Function {
                    return Err(token.slip(format!("`{word}` stands only outside functions")));
                }
                self.foreign()
            }
            (Class::Keyword, "import") => Err(token.slip("imports stand before all other statements")),
            (Class::Keyword, "package") => Err(token.slip("`package` stands before everything else, once")),
            (Class::Name, _) if self.assigns()? => Ok(Statement::Assign(self.assignment(token.start, height)?)),
            (Class::Sign, "=") => Err(token.slip(
                "expected a statement, found `=`: only a name can stand before it; to compare, write `==`",
            )),
            (Class::Sign, ":") if scope == Scope::Function => Err(token.slip(
                "expected a statement, found `:`; a record as a function's value stands in parentheses: ({name: value})",
            )),
            (Class::Sign, "|>") => Err(token.slip("nothing stands before `|>` that it could pass on")),
            (Class::Keyword, "if" | "not" | "exists") => Ok(Statement::Expression(self.child(height)?)),
            (Class::Keyword, _) | (Class::Sign, "<-" | "=>" | "?" | "," | ":" | ")" | "]" | "}") => {
                Err(self.unexpected("a statement")?)
            }
            _ => Ok(Statement::Expression(self.child(height)?)),
        }
    }

    /// Whether `name =` comes next.
    fn assigns(&mut self) -> Result<bool> {
        let mut ahead = self.ahead();
        ahead.next()?;
        // What cannot be read is told when it is its turn.
        Ok(ahead.next().is_ok_and(|token| token.is_sign("=")))
    }

    /// `name = value`, of a statement that began at `start`.
    fn assignment(&mut self, start: usize, height: &mut usize) -> Result<Assignment> {
        let name = Arc::from(self.name("a name")?);
        self.expect_sign("=", "behind the name")?;
        let value = self.child(height)?;
        Ok(Assignment { name, value, span: self.span(start) })
    }

    /// `option name = value` or `option package.name = value`.
    fn option(&mut self, scope: Scope, height: &mut usize) -> Result<Statement> {
        let word = self.advance()?;
        if scope == Scope::Function {
            return Err(word.slip("options are set outside functions"));
        }
        let start = self.peek()?.start;
        let mut ahead = self.ahead();
        ahead.next()?;
        let qualified = ahead.next().is_ok_and(|token| token.is_sign("."));
        let package: Option<Arc<str>> = if qualified {
            let package = self.name("the option's package")?;
            self.advance()?;
            Some(Arc::from(package))
        } else {
            None
        };
        Ok(Statement::Option { package, assignment: self.assignment(start, height)? })
    }

    /// `{ statements return value }`
    pub(super) fn block(&mut self, height: &mut usize) -> Result<Block> {
        let open = self.advance()?.start;
        let mut statements = Vec::new();
        self.attributes()?;
        while !self.peek()?.is_sign("}") {
            let token = self.peek()?;
            if let Some(Statement::Return(_)) = statements.last() {
                let message = match token.class {
                    Class::End => format!("`{{` at {} is never closed: expected `}}`", self.position(open)),
                    _ => format!("expected `}}`, found {}: nothing stands behind `return`", token.found()),
                };
                return Err(token.slip(message));
            }
            if token.class == Class::End {
                self.close("}", open)?;
            }
            statements.push(self.statement(Scope::Function, height)?);
            self.attributes()?;
        }
        let end = self.advance()?;
        match statements.last() {
            Some(Statement::Return(_)) => Ok(Block { statements }),
            _ => Err(end.slip(missing_return(&statements))),
        }
    }

    /// The text of a quoted text in which nothing may be put in.
    pub(super) fn plain_text(&mut self, expected: &str) -> Result<Arc<str>> {
        let token = self.peek()?;
        if !token.is_sign("\"") {
            return Err(token.slip(format!("expected {expected}, found {}", token.found())));
        }
        match self.text()?.expression.kind {
            Kind::String(text) => Ok(text),
            _ => Err(Slip::new(token.start, self.end, "nothing can be put into this text with `${}`")),
        }
    }
}

fn missing_return(statements: &[Statement]) -> &'static str {
    match statements {
        [] => "a function's braces hold statements, `return` last; an empty record is written ({})",
        _ => "a function's braces end with `return` and a value; without braces none is needed: (a) => a",
    }
}
