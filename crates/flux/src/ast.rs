//! The syntax tree. Every node knows where in the text it stands; two trees are equal if they say the same, wherever.

mod equal;

use std::sync::Arc;

use crate::Duration;

/// A place in the text: line and column, both from 1; columns count bytes, as in Flux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// From 1, in bytes.
    pub column: u32,
}

/// From where to where a node stands; the end is the place after its last byte. `Display`: `1:5-1:9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Its first byte.
    pub start: Position,
    /// After its last byte.
    pub end: Position,
}

/// A whole text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct File {
    /// `package name`, if the text begins with it.
    pub package: Option<Arc<str>>,
    /// In the order of the text.
    pub imports: Vec<Import>,
    /// In the order of the text.
    pub statements: Vec<Statement>,
}

/// `import "path"` or `import name "path"`.
#[derive(Debug, Clone)]
pub struct Import {
    /// The name it is known by here, if the text gives one; the last part of the path else.
    pub alias: Option<Arc<str>>,
    /// `influxdata/influxdb/schema`.
    pub path: Arc<str>,
    /// Of the whole import.
    pub span: Span,
}

/// What a file or a block consists of.
#[derive(Debug, Clone)]
pub enum Statement {
    /// `name = expression`.
    Assign(Assignment),
    /// `option name = expression`, `option package.name = expression`.
    Option {
        /// The package, where it is another's option.
        package: Option<Arc<str>>,
        /// The option and its value.
        assignment: Assignment,
    },
    /// An expression by itself; of a file, a stream of tables that it makes is a result.
    Expression(Expression),
    /// `return expression`, the last of a block.
    Return(Expression),
    /// `builtin name : type`, `testcase`: of the standard library's own sources; refused when run.
    Foreign {
        /// The word that it begins with.
        word: &'static str,
        /// Of the whole statement.
        span: Span,
    },
}

/// A name and what it stands for.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The name.
    pub name: Arc<str>,
    /// What it stands for.
    pub value: Expression,
    /// Of the whole assignment.
    pub span: Span,
}

/// Something with a value, and where it stands.
#[derive(Debug, Clone)]
pub struct Expression {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `42`
    Integer(i64),
    /// A literal that no 64-bit signed integer holds is an error of the parser.
    Float(f64),
    /// `"text"`, without anything to be put in.
    String(Arc<str>),
    /// `"text ${expression} text"`
    Interpolated(Vec<StringPart>),
    /// `2026-11-30T04:00:00Z`, `2026-11-30`: nanoseconds since 1970.
    Time(i64),
    /// `1h30m`, `1mo`.
    Duration(Duration),
    /// `/text/`: its text, slashes no longer escaped. It compiles.
    Regex(Arc<str>),
    /// `.`: what a label of a dynamic type begins with is no expression here. `name`
    Identifier(Arc<str>),
    /// `[a, b]`
    Array(Vec<Expression>),
    /// `[key: value]`, `[:]`
    Dictionary(Vec<(Expression, Expression)>),
    /// `{name: value}`, `{with r: ...}` is written `{r with name: value}`.
    Record {
        /// What is before `with`.
        with: Option<Box<Expression>>,
        /// Later ones count where names repeat.
        properties: Vec<Property>,
    },
    /// `(r, n=2, tables=<-) => body`
    Function(Arc<Function>),
    /// `f(name: value)`
    Call(Box<Call>),
    /// `value |> f(name: value)`
    Pipe {
        /// Before the arrow.
        value: Box<Expression>,
        /// After it.
        call: Box<Call>,
    },
    /// `r.name`, `r["name"]`
    Member(Box<Member>),
    /// `a[0]`: neither a name nor a text stands in the brackets.
    Index {
        /// The array.
        array: Box<Expression>,
        /// What stands in the brackets.
        index: Box<Expression>,
    },
    /// `-a`, `not a`, `exists a`
    Unary {
        /// What is done.
        operator: UnaryOperator,
        /// To what.
        operand: Box<Expression>,
    },
    /// `a + b`, `a == b`, `a =~ b`
    Binary {
        /// What is done.
        operator: BinaryOperator,
        /// Before the sign.
        left: Box<Expression>,
        /// After it.
        right: Box<Expression>,
    },
    /// `a and b`, `a or b`
    Logical {
        /// What is done.
        operator: LogicalOperator,
        /// Before the word.
        left: Box<Expression>,
        /// After it; looked at only if the left one does not decide.
        right: Box<Expression>,
    },
    /// `if a then b else c`
    Conditional {
        /// What decides.
        test: Box<Expression>,
        /// If it is true.
        then: Box<Expression>,
        /// If not.
        otherwise: Box<Expression>,
    },
    /// `(a)`: kept, so that text comes out as it went in.
    Parenthesis(Box<Expression>),
}

/// A piece of a text with something put in.
#[derive(Debug, Clone, PartialEq)]
pub enum StringPart {
    /// As it stands, escapes resolved.
    Text(Arc<str>),
    /// `${expression}`
    Expression(Expression),
}

/// A property of a record.
#[derive(Debug, Clone)]
pub struct Property {
    /// A name, or a text in quotes.
    pub name: Arc<str>,
    /// `{name}` stands for `{name: name}`: the parser makes an identifier of it.
    pub value: Expression,
    /// Of the whole property.
    pub span: Span,
}

/// `(parameters) => body`
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// In the order of the text.
    pub parameters: Vec<Parameter>,
    /// What it does.
    pub body: FunctionBody,
}

/// What a function does.
#[derive(Debug, Clone, PartialEq)]
pub enum FunctionBody {
    /// Its value is the function's.
    Expression(Expression),
    /// `{ statements return expression }`
    Block(Block),
}

/// The statements between braces; the last is `return`, which the parser sees to.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// In the order of the text.
    pub statements: Vec<Statement>,
}

/// A parameter of a function.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: Arc<str>,
    /// `name=expression`: what it is if nothing is given.
    pub default: Option<Expression>,
    /// `name=<-`: takes what comes through the arrow.
    pub is_piped: bool,
    /// Of the whole parameter.
    pub span: Span,
}

/// A function is called.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is called.
    pub callee: Expression,
    /// By name: Flux knows no other. Names do not repeat, which the parser sees to.
    pub arguments: Vec<Argument>,
    /// Of callee and arguments.
    pub span: Span,
}

/// An argument of a call; as in a record, `f(name)` stands for `f(name: name)`.
pub type Argument = Property;

/// A member of a record is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The record.
    pub record: Expression,
    /// The member's name.
    pub name: Arc<str>,
}

/// One operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOperator {
    /// `-`
    Minus,
    /// `+`
    Plus,
    /// `not`
    Not,
    /// `exists`
    Exists,
}

/// Two operands, both looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOperator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `^`
    Power,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
}

/// Two operands, the right one looked at only if the left does not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogicalOperator {
    /// `and`
    And,
    /// `or`
    Or,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}
