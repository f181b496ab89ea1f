//! Expressions: conditionals, operators by precedence, pipes, and what is written behind an operand.

use std::sync::Arc;

use super::{Parser, Result, Tree};
use crate::{
    BinaryOperator, Call, Expression, Kind, LogicalOperator, Member, Span, UnaryOperator,
    error::Slip,
    lex::Class,
    operator::{CONDITIONAL, UNARY_LOGICAL},
};

/// Longest chain of `and`s or `or`s that becomes a tree leaning left. A longer one (dashboards spell lists of hosts so)
/// is joined in pairs until it is no longer, which means the same, is looked at in the same order and is written so.
const LEANING_CHAIN_MAX: usize = 64;

/// An operator whose last operand has not been read yet.
enum Pending {
    Unary {
        operator: UnaryOperator,
        start: usize,
    },
    Binary {
        operator: BinaryOperator,
        left: Tree,
        start: usize,
    },
    /// The operands so far of a chain of one operator.
    Logical {
        operator: LogicalOperator,
        terms: Vec<Tree>,
        start: usize,
    },
}

impl Pending {
    fn precedence(&self) -> u8 {
        match self {
            Self::Unary { .. } => UNARY_LOGICAL,
            Self::Binary { operator, .. } => operator.precedence(),
            Self::Logical { operator, .. } => operator.precedence(),
        }
    }

    fn start(&self) -> usize {
        match self {
            Self::Unary { start, .. } | Self::Binary { start, .. } | Self::Logical { start, .. } => *start,
        }
    }
}

/// `if` a test `then` a value.
struct Branch {
    start: usize,
    test: Expression,
    then: Expression,
}

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Result<Tree> {
        // Not through `nested`: its closure would cost a frame at each level.
        self.deepen()?;
        let read = if self.peek()?.is_keyword("if") { self.conditional() } else { self.operation() };
        self.nesting -= 1;
        read
    }

    /// `if a then b else if c then d else e`; a chain of them does not nest.
    fn conditional(&mut self) -> Result<Tree> {
        let mut branches = Vec::new();
        let mut height = 0;
        while self.peek()?.is_keyword("if") {
            branches.push(self.branch(&mut height)?);
        }
        let mut otherwise = self.expression()?;
        for Branch { start, test, then } in branches.into_iter().rev() {
            height = height.max(otherwise.height);
            let (test, then) = (Box::new(test), Box::new(then));
            let kind = Kind::Conditional { test, then, otherwise: Box::new(otherwise.expression) };
            otherwise = self.grow(kind, start, height)?;
        }
        Ok(otherwise)
    }

    /// `if a then b else`
    fn branch(&mut self, height: &mut usize) -> Result<Branch> {
        let start = self.advance()?.start;
        let test = self.child(height)?;
        self.expect_keyword("then")?;
        let then = self.child(height)?;
        self.expect_keyword("else")?;
        Ok(Branch { start, test, then })
    }

    fn expect_keyword(&mut self, word: &str) -> Result<()> {
        if self.take_keyword(word)? {
            return Ok(());
        }
        let expected = format!("`{word}`, as in `if a then b else c`");
        Err(self.unexpected(&expected)?)
    }

    /// Operands joined by operators, which all lean to the left. Those that still wait for an operand stand on a stack
    /// of their own, each binding tighter than the one below, so that operators cost no depth.
    fn operation(&mut self) -> Result<Tree> {
        let mut pending = Vec::new();
        loop {
            self.unary_logical(&mut pending)?;
            let start = self.peek()?.start;
            let operand = self.piped()?;
            if let Some(tree) = self.join(&mut pending, operand, start)? {
                return Ok(tree);
            }
        }
    }

    /// `not` and `exists`, which may stand behind `and`, `or` and one another, not within comparisons.
    fn unary_logical(&mut self, pending: &mut Vec<Pending>) -> Result<()> {
        while pending.last().is_none_or(|last| last.precedence() <= UNARY_LOGICAL) {
            let token = self.peek()?;
            let unary = [UnaryOperator::Not, UnaryOperator::Exists];
            let Some(operator) = unary.into_iter().find(|operator| token.is_keyword(operator.symbol()))
            else {
                break;
            };
            self.advance()?;
            pending.push(Pending::Unary { operator, start: token.start });
        }
        Ok(())
    }

    /// Gives an operand to the operators that bind it tighter than what comes next; `None` if that is an operator,
    /// which then waits for its own operand.
    fn join(&mut self, pending: &mut Vec<Pending>, operand: Tree, mut start: usize) -> Result<Option<Tree>> {
        let token = self.peek()?;
        let logical = [LogicalOperator::And, LogicalOperator::Or];
        let logical = logical.into_iter().find(|operator| token.is_keyword(operator.symbol()));
        let binary = BinaryOperator::ALL.into_iter().find(|operator| token.is_sign(operator.symbol()));
        let next = match (binary, logical) {
            (Some(operator), _) => operator.precedence(),
            (None, Some(operator)) => operator.precedence(),
            (None, None) => CONDITIONAL,
        };
        let mut tree = operand;
        while let Some(last) = pending.pop_if(|last| last.precedence() >= next) {
            start = last.start();
            tree = match last {
                Pending::Unary { operator, .. } => self.unary_tree(operator, tree, start)?,
                Pending::Binary { operator, left, .. } => {
                    let height = left.height.max(tree.height);
                    let (left, right) = (Box::new(left.expression), Box::new(tree.expression));
                    self.grow(Kind::Binary { operator, left, right }, start, height)?
                }
                Pending::Logical { operator, mut terms, .. } => {
                    terms.push(tree);
                    if logical == Some(operator) {
                        self.advance()?;
                        pending.push(Pending::Logical { operator, terms, start });
                        return Ok(None);
                    }
                    self.chain(operator, terms, start)?
                }
            };
        }
        pending.push(match (binary, logical) {
            (Some(operator), _) => Pending::Binary { operator, left: tree, start },
            (None, Some(operator)) => Pending::Logical { operator, terms: vec![tree], start },
            (None, None) => return Ok(Some(tree)),
        });
        self.advance()?;
        Ok(None)
    }

    fn unary_tree(&self, operator: UnaryOperator, operand: Tree, start: usize) -> Result<Tree> {
        self.grow(Kind::Unary { operator, operand: Box::new(operand.expression) }, start, operand.height)
    }

    /// The operands of a chain that began at `start`, as a tree.
    fn chain(&self, operator: LogicalOperator, mut terms: Vec<Tree>, start: usize) -> Result<Tree> {
        let join = |left: Tree, right: Tree| {
            let span = Span { start: left.expression.span.start, end: right.expression.span.end };
            let height = left.height.max(right.height);
            let (left, right) = (Box::new(left.expression), Box::new(right.expression));
            let mut joined = self.grow(Kind::Logical { operator, left, right }, start, height)?;
            joined.expression.span = span;
            Ok(joined)
        };
        while terms.len() > LEANING_CHAIN_MAX {
            let mut joined = Vec::with_capacity(terms.len().div_ceil(2));
            let mut rest = terms.into_iter();
            while let Some(left) = rest.next() {
                joined.push(match rest.next() {
                    Some(right) => join(left, right)?,
                    None => left,
                });
            }
            terms = joined;
        }
        let whole = terms.into_iter().map(Ok).reduce(|left, right| join(left?, right?));
        whole.unwrap_or_else(|| Err(Slip::new(start, self.end, "an operand is missing")))
    }

    /// `value |> f() |> g()`
    fn piped(&mut self) -> Result<Tree> {
        let start = self.peek()?.start;
        let mut tree = self.signed()?;
        while self.take_sign("|>")? {
            tree = self.pipe(tree, start)?;
        }
        Ok(tree)
    }

    /// What stands behind `|>`.
    fn pipe(&mut self, value: Tree, start: usize) -> Result<Tree> {
        let target_start = self.peek()?.start;
        let target = self.signed()?;
        let Kind::Call(call) = target.expression.kind else {
            let message = "`|>` passes on to the call of a function: write f() with its parentheses";
            return Err(Slip::new(target_start, self.end, message));
        };
        let height = value.height.max(target.height);
        self.grow(Kind::Pipe { value: Box::new(value.expression), call }, start, height)
    }

    /// `-a`, `+a`
    fn signed(&mut self) -> Result<Tree> {
        let mut signs = Vec::new();
        loop {
            let token = self.peek()?;
            let operator = [UnaryOperator::Minus, UnaryOperator::Plus];
            let operator = operator.into_iter().find(|operator| token.is_sign(operator.symbol()));
            let Some(operator) = operator else { break };
            self.advance()?;
            signs.push((operator, token.start));
        }
        let operand = self.postfix()?;
        signs
            .into_iter()
            .rev()
            .try_fold(operand, |tree, (operator, start)| self.unary_tree(operator, tree, start))
    }

    /// An operand and the members, indices and calls behind it.
    fn postfix(&mut self) -> Result<Tree> {
        let start = self.peek()?.start;
        let mut tree = self.operand()?;
        loop {
            let token = self.peek()?;
            if token.class != Class::Sign {
                return Ok(tree);
            }
            tree = match token.text {
                "." => self.member(tree, start)?,
                "[" => self.index(tree, start)?,
                "(" => self.call(tree, start)?,
                _ => return Ok(tree),
            };
        }
    }

    fn member(&mut self, record: Tree, start: usize) -> Result<Tree> {
        self.advance()?;
        let token = self.peek()?;
        let message = match (token.class, token.text) {
            (Class::Name, name) => {
                self.advance()?;
                return self.member_tree(record, Arc::from(name), start);
            }
            (Class::Keyword, word) => {
                format!("the keyword {word} cannot stand behind `.`: write [\"{word}\"] instead of .{word}")
            }
            (Class::Sign, "\"") => {
                "a name in quotes stands in brackets: [\"name\"] instead of .\"name\"".to_owned()
            }
            _ => format!("expected the member's name behind `.`, found {}", token.found()),
        };
        Err(token.slip(message))
    }

    fn member_tree(&self, record: Tree, name: Arc<str>, start: usize) -> Result<Tree> {
        let member = Member { record: record.expression, name };
        self.grow(Kind::Member(Box::new(member)), start, record.height)
    }

    /// `a["name"]` is a member, anything else in brackets an index.
    fn index(&mut self, array: Tree, start: usize) -> Result<Tree> {
        self.advance()?;
        let mut height = array.height;
        let index = self.child(&mut height)?;
        if !self.take_sign("]")? {
            return Err(self.unexpected("`]` behind the index")?);
        }
        if let Kind::String(name) = index.kind {
            return self.member_tree(array, name, start);
        }
        let array = Box::new(array.expression);
        self.grow(Kind::Index { array, index: Box::new(index) }, start, height)
    }

    fn call(&mut self, callee: Tree, start: usize) -> Result<Tree> {
        let mut height = callee.height;
        let arguments = self.arguments(&mut height)?;
        let call = Call { callee: callee.expression, arguments, span: self.span(start) };
        self.grow(Kind::Call(Box::new(call)), start, height)
    }

    /// `(a)`
    pub(super) fn parenthesis(&mut self) -> Result<Tree> {
        let open = self.advance()?.start;
        let mut height = 0;
        let inner: Expression = self.child(&mut height)?;
        self.close(")", open)?;
        self.grow(Kind::Parenthesis(Box::new(inner)), open, height)
    }
}
