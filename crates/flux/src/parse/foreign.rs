//! Statements of the standard library's own sources, read over: what they say is kept nowhere.

use super::{Parser, Result, statement::Scope};
use crate::{Statement, lex::Class};

impl Parser<'_> {
    pub(super) fn foreign(&mut self) -> Result<Statement> {
        let token = self.advance()?;
        let word = if token.text == "builtin" {
            self.name("the value's name")?;
            self.expect_sign(":", "and a type behind the name")?;
            self.constrained_type()?;
            "builtin"
        } else {
            self.test_case()?;
            "testcase"
        };
        Ok(Statement::Foreign { word, span: self.span(token.start) })
    }

    /// `name { statements }`, `name extends "other" { statements }`
    fn test_case(&mut self) -> Result<()> {
        self.name("the test case's name")?;
        if self.take_word("extends")? {
            self.plain_text("the other test case's name in double quotes")?;
        }
        let open = self.peek()?.start;
        self.expect_sign("{", "and statements")?;
        while !self.peek()?.is_sign("}") {
            if self.peek()?.class == Class::End {
                self.close("}", open)?;
            }
            self.nested(|parser| parser.statement(Scope::File, &mut 0))?;
        }
        self.close("}", open)
    }

    /// A type, and what is demanded of its variables: `[A] where A: Addable + Equatable, B: Record`.
    fn constrained_type(&mut self) -> Result<()> {
        self.type_name()?;
        if !self.take_word("where")? {
            return Ok(());
        }
        loop {
            self.name("a type's variable")?;
            self.expect_sign(":", "behind the variable")?;
            self.name("a constraint")?;
            while self.take_sign("+")? {
                self.name("a constraint")?;
            }
            if !self.take_sign(",")? {
                return Ok(());
            }
        }
    }

    fn type_name(&mut self) -> Result<()> {
        self.nested(|parser| {
            let token = parser.peek()?;
            match (token.class, token.text) {
                (Class::Sign, "[") => {
                    parser.advance()?;
                    parser.type_name()?;
                    if parser.take_sign(":")? {
                        parser.type_name()?;
                    }
                    parser.close("]", token.start)
                }
                (Class::Sign, "{") => parser.record_type(),
                (Class::Sign, "(") => parser.function_type(),
                _ => {
                    parser.name("a type")?;
                    let open = parser.peek()?.start;
                    if parser.take_sign("[")? {
                        parser.type_name()?;
                        parser.close("]", open)?;
                    }
                    Ok(())
                }
            }
        })
    }

    /// `{A with name: type, "name": type}`
    fn record_type(&mut self) -> Result<()> {
        let open = self.advance()?.start;
        if self.record_extends()? {
            self.advance()?;
            self.advance()?;
        }
        while !self.peek()?.is_sign("}") {
            if self.peek()?.is_sign("\"") {
                self.plain_text("a property's name")?;
            } else {
                self.name("a property's name")?;
            }
            self.expect_sign(":", "behind the property's name")?;
            self.type_name()?;
            if !self.take_sign(",")? {
                break;
            }
        }
        self.close("}", open)
    }

    /// `(name: type, ?optional: type, <-piped: type) => type`
    fn function_type(&mut self) -> Result<()> {
        let open = self.advance()?.start;
        while !self.peek()?.is_sign(")") {
            let is_piped = self.take_sign("<-")?;
            if !is_piped {
                self.take_sign("?")?;
            }
            if !is_piped || self.peek()?.class == Class::Name {
                self.name("a parameter's name")?;
            }
            self.expect_sign(":", "behind the parameter's name")?;
            self.type_name()?;
            if !self.take_sign(",")? {
                break;
            }
        }
        self.close(")", open)?;
        self.expect_sign("=>", "and the type of the function's value")?;
        self.type_name()
    }

    /// A name that means something only here.
    fn take_word(&mut self, word: &str) -> Result<bool> {
        let token = self.peek()?;
        let is = token.class == Class::Name && token.text == word;
        if is {
            self.advance()?;
        }
        Ok(is)
    }
}
