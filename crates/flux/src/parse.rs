//! Tokens to a tree, by recursive descent. What the descent has in common is here; the parts of the grammar are in
//! the files below.
//!
//! Two bounds keep every walk of a tree on the stack: how deep the text nests, which is how deep this descent goes, and
//! how high a tree becomes, since chains such as `a + b + c` lean to the left without nesting.

mod expression;
mod foreign;
mod operand;
mod statement;
mod text;

use crate::{
    Expression, File, Kind, ParseError, Position, Span,
    error::Slip,
    lex::{Class, Lexer, Token},
};

/// How deep a text may nest.
const NESTING_MAX: usize = 200;

/// How high a tree may become.
const HEIGHT_MAX: usize = 600;

type Result<T, E = Box<Slip>> = std::result::Result<T, E>;

/// Reads a whole text.
pub fn parse(text: &str) -> Result<File, ParseError> {
    let lines = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
    let lines: Vec<usize> = std::iter::once(0).chain(lines).collect();
    let mut parser = Parser { lexer: Lexer { text, at: 0 }, peeked: None, lines, nesting: 0, end: 0 };
    parser
        .file()
        .map_err(|slip| ParseError { span: parser.place(slip.start, slip.end), message: slip.message })
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token, if somebody has looked at it; the lexer is then behind it.
    peeked: Option<Token<'a>>,
    /// Where lines begin.
    lines: Vec<usize>,
    /// How deep the descent is.
    nesting: usize,
    /// After the last byte of the last token taken.
    end: usize,
}

/// An expression and how high its tree is.
struct Tree {
    expression: Expression,
    height: usize,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Result<Token<'a>> {
        if let Some(token) = self.peeked {
            return Ok(token);
        }
        let token = self.lexer.next()?;
        self.peeked = Some(token);
        Ok(token)
    }

    fn advance(&mut self) -> Result<Token<'a>> {
        let token = self.peek()?;
        self.peeked = None;
        self.end = token.end();
        Ok(token)
    }

    /// The lexer as it stands before the next token: for looking further ahead.
    fn ahead(&self) -> Lexer<'a> {
        let at = self.peeked.map_or(self.lexer.at, |token| token.start);
        Lexer { at, ..self.lexer }
    }

    fn take_sign(&mut self, sign: &str) -> Result<bool> {
        let is = self.peek()?.is_sign(sign);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    fn take_keyword(&mut self, word: &str) -> Result<bool> {
        let is = self.peek()?.is_keyword(word);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    /// A name where nothing else may stand; `what` tells what it names.
    fn name(&mut self, what: &str) -> Result<&'a str> {
        let token = self.peek()?;
        match token.class {
            Class::Name => Ok(self.advance()?.text),
            Class::Keyword => {
                Err(token
                    .slip(format!("expected {what}, found the keyword {}, which is no name", token.text)))
            }
            _ => Err(token.slip(format!("expected {what}, found {}", token.found()))),
        }
    }

    fn expect_sign(&mut self, sign: &str, place: &str) -> Result<()> {
        if self.take_sign(sign)? { Ok(()) } else { Err(self.unexpected(&format!("`{sign}` {place}"))?) }
    }

    /// The sign that closes what was opened at `open`.
    fn close(&mut self, sign: &str, open: usize) -> Result<()> {
        if self.take_sign(sign)? {
            return Ok(());
        }
        let token = self.peek()?;
        let opened = self.position(open);
        let opening = &self.lexer.text[open..=open];
        if token.class == Class::End {
            return Err(token.slip(format!("`{opening}` at {opened} is never closed: expected `{sign}`")));
        }
        Err(self.unexpected(&format!("`,` or `{sign}`"))?)
    }

    /// Tells what was expected instead of the next token, and what to do if the slip is a usual one.
    fn unexpected(&mut self, expected: &str) -> Result<Box<Slip>> {
        let token = self.peek()?;
        let advice = match (token.class, token.text) {
            (Class::Sign, "=") => "; to compare, write `==`",
            (Class::Sign, "?") => "; write `if a then b else c`",
            (Class::Sign, "<-") => "; to compare with a negative number, write `< -`",
            (Class::Sign, "=>") => "; a function is written (name) => value",
            (Class::Keyword, "if") => "; put `if ... then ... else ...` in parentheses",
            (Class::Keyword, "not" | "exists") => "; put it in parentheses",
            _ => "",
        };
        Ok(token.slip(format!("expected {expected}, found {}{advice}", token.found())))
    }

    /// Reads one level deeper, if the text does not nest too deep already.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.deepen()?;
        let read = read(self);
        self.nesting -= 1;
        read
    }

    fn deepen(&mut self) -> Result<()> {
        if self.nesting == NESTING_MAX {
            let at = self.ahead().at;
            return Err(Slip::new(at, at, format!("the text nests more than {NESTING_MAX} levels deep")));
        }
        self.nesting += 1;
        Ok(())
    }

    /// A node that began at `start` and whose children are at most `height` high.
    fn grow(&self, kind: Kind, start: usize, height: usize) -> Result<Tree> {
        if height >= HEIGHT_MAX {
            let message =
                format!("the expression consists of more than {HEIGHT_MAX} steps; name parts of it");
            return Err(Slip::new(start, self.end, message));
        }
        Ok(Tree { expression: Expression { kind, span: self.span(start) }, height: height + 1 })
    }

    /// A whole expression, which makes its parent at least as high.
    fn child(&mut self, height: &mut usize) -> Result<Expression> {
        let tree = self.expression()?;
        *height = tree.height.max(*height);
        Ok(tree.expression)
    }

    /// From here to the end of what has been read.
    fn span(&self, start: usize) -> Span {
        self.place(start, self.end)
    }

    fn place(&self, start: usize, end: usize) -> Span {
        Span { start: self.position(start), end: self.position(end) }
    }

    fn position(&self, at: usize) -> Position {
        let line = self.lines.partition_point(|&begin| begin <= at).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Position { line: count(line), column: count(at - begin + 1) }
    }
}
