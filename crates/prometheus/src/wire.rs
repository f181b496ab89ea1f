//! Protobuf, read in place: a message is walked field by field, its texts stay where they are.

use prost::encoding::{self, WireType};

/// Why a message cannot be read; the common ones worded as InfluxDB's decoder words them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The message ends within a field.
    #[error("unexpected EOF")]
    Cut,
    /// No such way to write a field.
    #[error("proto: illegal wireType {0}")]
    IllegalWireType(u8),
    /// A field is written in another way than its type is.
    #[error("proto: wrong wireType = {found} for field {field}")]
    WrongWireType {
        /// Name of the field.
        field: &'static str,
        /// How it is written.
        found: u8,
    },
    /// A number is too long, or a field has number 0.
    #[error("proto: integer overflow")]
    Overflow,
    /// A text is no text.
    #[error("proto: invalid UTF-8 in field {0}")]
    NotUtf8(&'static str),
}

/// A message, or what is left of it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    rest: &'a [u8],
}

/// One field: its number and what is in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    /// Number of the field.
    pub number: u32,
    value: Value<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Message<'a> {
    /// A message in memory.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field; `None` at the end. Fields that nobody knows are handed out like others.
    pub fn next_field(&mut self) -> Result<Option<Field<'a>>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0).ok_or(WireError::Overflow)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Cut)?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                self.array::<4>()?;
                Value::Fixed32
            }
            illegal => return Err(WireError::IllegalWireType(illegal as u8)),
        };
        Ok(Some(Field { number, value }))
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let bytes = self.rest.len();
        encoding::decode_varint(&mut self.rest)
            .map_err(|_| if bytes < 10 { WireError::Cut } else { WireError::Overflow })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
}

impl<'a> Field<'a> {
    /// A message within the message.
    pub fn message(self, name: &'static str) -> Result<Message<'a>, WireError> {
        self.bytes(name).map(Message::new)
    }

    /// A text.
    pub fn text(self, name: &'static str) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes(name)?).map_err(|_| WireError::NotUtf8(name))
    }

    /// A number of variable length.
    pub fn varint(self, name: &'static str) -> Result<u64, WireError> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.wrong(name)),
        }
    }

    /// A floating-point number.
    pub fn double(self, name: &'static str) -> Result<f64, WireError> {
        match self.value {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(self.wrong(name)),
        }
    }

    fn bytes(self, name: &'static str) -> Result<&'a [u8], WireError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong(name)),
        }
    }

    const fn wrong(&self, field: &'static str) -> WireError {
        let found = match self.value {
            Value::Varint(_) => 0,
            Value::Fixed64(_) => 1,
            Value::Bytes(_) => 2,
            Value::Fixed32 => 5,
        };
        WireError::WrongWireType { field, found }
    }
}

/// Appends a field that holds bytes: a text or a message.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    encoding::encode_key(number, WireType::LengthDelimited, out);
    encoding::encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a floating-point field.
pub fn put_double(out: &mut Vec<u8>, number: u32, value: f64) {
    encoding::encode_key(number, WireType::SixtyFourBit, out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field that holds a signed number.
pub fn put_int64(out: &mut Vec<u8>, number: u32, value: i64) {
    encoding::encode_key(number, WireType::Varint, out);
    encoding::encode_varint(value.cast_unsigned(), out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<Field<'_>>, WireError> {
        let mut message = Message::new(bytes);
        let mut fields = Vec::new();
        while let Some(field) = message.next_field()? {
            fields.push(field);
        }
        Ok(fields)
    }

    #[test]
    fn what_is_put_is_read() {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, 1, b"job");
        put_double(&mut bytes, 2, -1.5);
        put_int64(&mut bytes, 3, -7);
        let fields = fields(&bytes).unwrap();
        assert_eq!(fields[0].text("a"), Ok("job"));
        assert_eq!(fields[1].double("b"), Ok(-1.5));
        assert_eq!(fields[2].varint("c").map(u64::cast_signed), Ok(-7));
        assert_eq!(fields[2].double("c"), Err(WireError::WrongWireType { field: "c", found: 0 }));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(fields(b"garbage"), Err(WireError::IllegalWireType(7)));
        assert_eq!(fields(&[0x0A, 5, 1]), Err(WireError::Cut));
        assert_eq!(fields(&[0x80]), Err(WireError::Cut));
        assert_eq!(fields(&[0xFF; 11]), Err(WireError::Overflow));
        assert_eq!(fields(&[0x00, 1]), Err(WireError::Overflow));
        assert_eq!(fields(&[0x0A, 1, 0xFF]).unwrap()[0].text("Name"), Err(WireError::NotUtf8("Name")));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in any::<Vec<u8>>()) {
            drop(fields(&bytes));
        }
    }
}
