//! D-Bus messages as bytes, in little endian: the fixed part of 16 bytes, header fields, padding to 8, the body. Pure.
//!
//! Every value is aligned to its own size, counted from the start of the message; the body starts at a multiple of 8, so
//! that counting from its start is the same.

use super::Method;

/// Up to and with the length of the array of header fields.
pub(super) const FIXED_BYTES: usize = 16;

/// How deep values may be nested.
const DEPTH_MAX: usize = 32;

/// A value, with as much of its type as callers need.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `y`, `q`, `u`, `t`.
    Unsigned(u64),
    /// `n`, `i`, `x`.
    Signed(i64),
    /// `b`.
    Boolean(bool),
    /// `d`.
    Float(f64),
    /// `s`, `o`, `g`.
    Text(String),
    /// `as` as an argument; any array in an answer.
    Array(Vec<Value>),
    /// Structs and entries of dictionaries.
    Struct(Vec<Value>),
}

impl Value {
    /// The text it is.
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text it is.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The values inside.
    pub(crate) fn into_items(self) -> Vec<Self> {
        match self {
            Self::Array(items) | Self::Struct(items) => items,
            _ => Vec::new(),
        }
    }
}

/// What a message is, as far as a caller cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Return,
    Error,
    Other,
}

/// What stands before the body.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) reply_to: Option<u32>,
    pub(super) error_name: String,
    signature: String,
    big_endian: bool,
}

/// How long the parts behind the fixed one are.
#[derive(Debug)]
pub(super) struct Lengths {
    /// Without the padding behind them.
    pub(super) fields: usize,
    pub(super) body: usize,
}

pub(super) fn lengths(fixed: &[u8; FIXED_BYTES]) -> Result<Lengths, &'static str> {
    let mut reader = Reader { bytes: fixed, at: 4, big_endian: big_endian(fixed[0])? };
    let body = reader.u32()? as usize;
    reader.u32()?;
    Ok(Lengths { fields: reader.u32()? as usize, body })
}

fn big_endian(mark: u8) -> Result<bool, &'static str> {
    match mark {
        b'l' => Ok(false),
        b'B' => Ok(true),
        _ => Err("a message of unknown byte order"),
    }
}

pub(super) fn header(fixed: &[u8; FIXED_BYTES], fields: &[u8]) -> Result<Header, &'static str> {
    let kind = match fixed[1] {
        2 => Kind::Return,
        3 => Kind::Error,
        _ => Kind::Other,
    };
    let mut header = Header {
        kind,
        reply_to: None,
        error_name: String::new(),
        signature: String::new(),
        big_endian: big_endian(fixed[0])?,
    };
    let mut reader = Reader { bytes: fields, at: 0, big_endian: header.big_endian };
    while reader.at < fields.len() {
        reader.align(8)?;
        let code = reader.take(1)?[0];
        match (code, reader.variant(0)?) {
            (4, Value::Text(name)) => header.error_name = name,
            (5, Value::Unsigned(serial)) => header.reply_to = u32::try_from(serial).ok(),
            (8, Value::Text(signature)) => header.signature = signature,
            _ => {}
        }
    }
    Ok(header)
}

/// The values of a body.
pub(super) fn decode(header: &Header, body: &[u8]) -> Result<Vec<Value>, &'static str> {
    let mut reader = Reader { bytes: body, at: 0, big_endian: header.big_endian };
    let mut signature = header.signature.as_bytes();
    let mut values = Vec::new();
    while !signature.is_empty() {
        let (value, rest) = reader.value(signature, 0)?;
        values.push(value);
        signature = rest;
    }
    Ok(values)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) -> Result<(), &'static str> {
        let padding = self.at.next_multiple_of(to) - self.at;
        self.take(padding).map(|_| ())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let end = self.at.checked_add(count).ok_or("a length beyond all bounds")?;
        let taken = self.bytes.get(self.at..end).ok_or("a message cut short")?;
        self.at = end;
        Ok(taken)
    }

    /// A number of 2, 4 or 8 bytes, aligned to its size.
    fn number(&mut self, size: usize) -> Result<u64, &'static str> {
        self.align(size)?;
        let bytes = self.take(size)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Ok(if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        Ok(self.number(4)? as u32)
    }

    fn text(&mut self, length: usize) -> Result<Value, &'static str> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(Value::Text(text))
    }

    /// A value by its own signature.
    fn variant(&mut self, depth: usize) -> Result<Value, &'static str> {
        let length = usize::from(self.take(1)?[0]);
        let signature = self.take(length)?;
        self.take(1)?;
        self.value(signature, depth + 1).map(|(value, _)| value)
    }

    /// A value of the signature's first type, and the rest of the signature.
    fn value<'s>(&mut self, signature: &'s [u8], depth: usize) -> Result<(Value, &'s [u8]), &'static str> {
        if depth > DEPTH_MAX {
            return Err("values nested too deep");
        }
        let (&code, rest) = signature.split_first().ok_or("a signature cut short")?;
        let value = match code {
            b'y' => Value::Unsigned(u64::from(self.take(1)?[0])),
            b'q' => Value::Unsigned(self.number(2)?),
            b'u' | b'h' => Value::Unsigned(self.number(4)?),
            b't' => Value::Unsigned(self.number(8)?),
            b'n' => Value::Signed(i64::from(self.number(2)? as u16 as i16)),
            b'i' => Value::Signed(i64::from(self.u32()? as i32)),
            b'x' => Value::Signed(self.number(8)? as i64),
            b'd' => Value::Float(f64::from_bits(self.number(8)?)),
            b'b' => Value::Boolean(self.u32()? != 0),
            b's' | b'o' => {
                let length = self.u32()? as usize;
                self.text(length)?
            }
            b'g' => {
                let length = usize::from(self.take(1)?[0]);
                self.text(length)?
            }
            b'v' => self.variant(depth)?,
            b'a' => return self.array(rest, depth),
            b'(' | b'{' => return self.structure(rest, depth),
            _ => return Err("a type that does not exist"),
        };
        Ok((value, rest))
    }

    fn array<'s>(&mut self, of: &'s [u8], depth: usize) -> Result<(Value, &'s [u8]), &'static str> {
        let length = self.u32()? as usize;
        self.align(alignment(of))?;
        let end = self.at.checked_add(length).ok_or("a length beyond all bounds")?;
        if end > self.bytes.len() {
            return Err("an array cut short");
        }
        let mut items = Vec::new();
        while self.at < end {
            let start = self.at;
            items.push(self.value(of, depth + 1)?.0);
            if self.at == start {
                return Err("an array of nothing");
            }
        }
        Ok((Value::Array(items), &of[type_length(of, 0)?..]))
    }

    fn structure<'s>(&mut self, mut of: &'s [u8], depth: usize) -> Result<(Value, &'s [u8]), &'static str> {
        self.align(8)?;
        let mut items = Vec::new();
        loop {
            match of.first() {
                None => return Err("a struct without an end"),
                Some(b')' | b'}') => return Ok((Value::Struct(items), &of[1..])),
                Some(_) => {
                    let (value, rest) = self.value(of, depth + 1)?;
                    items.push(value);
                    of = rest;
                }
            }
        }
    }
}

fn alignment(signature: &[u8]) -> usize {
    match signature.first() {
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        Some(b'y' | b'g' | b'v') => 1,
        Some(b'n' | b'q') => 2,
        _ => 4,
    }
}

/// How much of a signature its first type takes.
fn type_length(signature: &[u8], depth: usize) -> Result<usize, &'static str> {
    if depth > DEPTH_MAX {
        return Err("values nested too deep");
    }
    match signature.first() {
        None => Err("a signature cut short"),
        Some(b'a') => Ok(1 + type_length(&signature[1..], depth + 1)?),
        Some(b'(' | b'{') => {
            let mut at = 1;
            loop {
                match signature.get(at) {
                    None => return Err("a struct without an end"),
                    Some(b')' | b'}') => return Ok(at + 1),
                    Some(_) => at += type_length(&signature[at..], depth + 1)?,
                }
            }
        }
        Some(_) => Ok(1),
    }
}

/// A call of a method.
pub(super) fn call(serial: u32, method: Method<'_>, arguments: &[Value]) -> Vec<u8> {
    let mut body = Writer::default();
    let mut signature = String::new();
    for argument in arguments {
        body.value(argument, &mut signature);
    }
    let mut fields = Writer::default();
    for (code, kind, text) in [
        (1, "o", method.path),
        (2, "s", method.interface),
        (3, "s", method.member),
        (6, "s", method.destination),
    ] {
        fields.align(8);
        fields.0.push(code);
        fields.signature(kind);
        fields.text(text);
    }
    if !signature.is_empty() {
        fields.align(8);
        fields.0.push(8);
        fields.signature("g");
        fields.signature(&signature);
    }
    let mut message = Writer(vec![b'l', 1, 0, 1]);
    message.u32(body.0.len());
    message.0.extend(serial.to_le_bytes());
    message.u32(fields.0.len());
    message.0.append(&mut fields.0);
    message.align(8);
    message.0.append(&mut body.0);
    message.0
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn u32(&mut self, number: usize) {
        self.align(4);
        // Nothing here is longer: arguments are names.
        self.0.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(text.len());
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// What methods are called with here: texts, and arrays of them.
    fn value(&mut self, value: &Value, signature: &mut String) {
        match value {
            Value::Text(text) => {
                signature.push('s');
                self.text(text);
            }
            Value::Array(items) => {
                signature.push_str("as");
                let mut inside = Self::default();
                for text in items.iter().filter_map(Value::text) {
                    inside.text(text);
                }
                self.u32(inside.0.len());
                self.0.append(&mut inside.0);
            }
            Value::Unsigned(_)
            | Value::Signed(_)
            | Value::Boolean(_)
            | Value::Float(_)
            | Value::Struct(_) => {
                debug_assert!(false, "no method is called with {value:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(signature: &str, big_endian: bool) -> Header {
        Header {
            kind: Kind::Return,
            reply_to: Some(1),
            error_name: String::new(),
            signature: signature.to_owned(),
            big_endian,
        }
    }

    #[test]
    fn a_call_byte_by_byte() {
        let method = Method { destination: "d.d", path: "/p", interface: "i.i", member: "M" };
        let arguments = [Value::Array(vec![Value::Text("a".to_owned()), Value::Text("bc".to_owned())])];
        let expected = [
            b"l\x01\x00\x01\x13\x00\x00\x00\x07\x00\x00\x00\x48\x00\x00\x00".as_slice(),
            b"\x01\x01o\x00\x02\x00\x00\x00/p\x00\x00\x00\x00\x00\x00",
            b"\x02\x01s\x00\x03\x00\x00\x00i.i\x00\x00\x00\x00\x00",
            b"\x03\x01s\x00\x01\x00\x00\x00M\x00\x00\x00\x00\x00\x00\x00",
            b"\x06\x01s\x00\x03\x00\x00\x00d.d\x00\x00\x00\x00\x00",
            b"\x08\x01g\x00\x02as\x00",
            b"\x0f\x00\x00\x00\x01\x00\x00\x00a\x00\x00\x00\x02\x00\x00\x00bc\x00",
        ]
        .concat();
        assert_eq!(call(7, method, &arguments), expected);
    }

    #[test]
    fn values_of_every_type() {
        let body = [b"\x05\x00\x00\x00\xfe\xff\xff\xff".as_slice(), b"\x02\x00\x00\x00hi\x00\x00"].concat();
        let values = decode(&returned("uis", false), &body[..15]).expect("valid");
        assert_eq!(values, [Value::Unsigned(5), Value::Signed(-2), Value::Text("hi".to_owned())]);
        let big = b"\x00\x00\x00\x01k\x00";
        assert_eq!(decode(&returned("s", true), big), Ok(vec![Value::Text("k".to_owned())]));
        let dictionary = b"\x18\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00k\x00\x01t\x00\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00";
        let entry = Value::Struct(vec![Value::Text("k".to_owned()), Value::Unsigned(9)]);
        assert_eq!(decode(&returned("a{sv}", false), dictionary), Ok(vec![Value::Array(vec![entry])]));
    }

    #[test]
    fn garbage_is_an_error() {
        for (signature, body) in [
            ("s", b"\xff\xff\xff\xff".as_slice()),
            ("a(ss)", b"\xff\xff\xff\x7f\x00\x00\x00\x00"),
            ("a", b"\x00\x00\x00\x00"),
            ("(s", b"\x00\x00\x00\x00\x00"),
            ("a()", b"\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
            ("z", b""),
            ("v", b"\x03aav\x00"),
        ] {
            assert!(decode(&returned(signature, false), body).is_err(), "{signature}");
        }
        let deep = "a".repeat(200);
        assert!(decode(&returned(&deep, false), &[0; 64]).is_err());
        assert!(lengths(b"x1234567890abcde").is_err());
    }
}
