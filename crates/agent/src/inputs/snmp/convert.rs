//! What becomes of a variable by a field's `conversion`. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use skywatch_model::FieldValue;

use super::session::Variable;

/// A field's `conversion`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Conversion {
    /// Numbers stay numbers; bytes become text, in hexadecimal digits if they are none.
    #[default]
    None,
    /// A float, divided by ten to this power.
    Float(u32),
    Int,
    HwAddr,
    IpAddr,
    Hex,
    HexToInt {
        big_endian: bool,
        width: Width,
    },
    /// A named number, by names; with the number behind it.
    Enum {
        names: &'static [(i64, &'static str)],
        with_number: bool,
    },
}

/// Bytes of an unsigned number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Bits16,
    Bits32,
    Bits64,
}

impl Conversion {
    /// Reads `float(2)`, `hextoint:BigEndian:uint32` and so on; `enum` needs names that are known.
    pub(super) fn parse(text: &str, names: Option<&'static [(i64, &'static str)]>) -> Result<Self, String> {
        let argument = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(digits) = argument("float") {
            return digits
                .parse()
                .ok()
                .filter(|power| *power <= 300)
                .map(Self::Float)
                .ok_or_else(|| format!("{digits:?} in {text:?} is no number of digits"));
        }
        if let Some(rest) = text.strip_prefix("hextoint:") {
            let (endian, width) = rest.split_once(':').unwrap_or((rest, ""));
            let big_endian = match endian {
                "BigEndian" => true,
                "LittleEndian" => false,
                _ => return Err(format!("{endian:?} is neither BigEndian nor LittleEndian")),
            };
            let width = match width {
                "uint16" => Width::Bits16,
                "uint32" => Width::Bits32,
                "uint64" => Width::Bits64,
                _ => return Err(format!("{width:?} is none of uint16, uint32, uint64")),
            };
            return Ok(Self::HexToInt { big_endian, width });
        }
        match text {
            "" => Ok(Self::None),
            "float" => Ok(Self::Float(0)),
            "int" => Ok(Self::Int),
            "hwaddr" => Ok(Self::HwAddr),
            "ipaddr" => Ok(Self::IpAddr),
            "hex" => Ok(Self::Hex),
            "enum" | "enum(1)" => {
                match names {
                    Some(names) => Ok(Self::Enum { names, with_number: text == "enum(1)" }),
                    None => Err("the names of this object's numbers are not known here; use processors.enum"
                        .to_owned()),
                }
            }
            "displayhint" => Err("display hints need the device's MIB, which is not read".to_owned()),
            other => Err(format!(
                "{other:?} is none of float, float(N), int, hwaddr, ipaddr, hex, hextoint:ENDIAN:WIDTH, enum, enum(1)"
            )),
        }
    }
}

/// The field's value; `None` where there is nothing to say.
pub(super) fn value(variable: &Variable, conversion: &Conversion) -> Result<Option<FieldValue>, String> {
    let text = |text: String| FieldValue::String(text.into());
    Ok(Some(match conversion {
        Conversion::None => plain(variable),
        Conversion::Float(digits) => {
            let power = 10_f64.powi(i32::try_from(*digits).unwrap_or(0));
            FieldValue::Float(number(variable)? / power)
        }
        Conversion::Int => match variable {
            Variable::Integer(number) => FieldValue::Integer(*number),
            Variable::Unsigned(number) => FieldValue::Integer(i64::try_from(*number).unwrap_or(i64::MAX)),
            other => FieldValue::Integer(number(other)? as i64),
        },
        Conversion::HwAddr => {
            let parts: Vec<_> = bytes(variable)?.iter().map(|byte| format!("{byte:02x}")).collect();
            text(parts.join(":"))
        }
        Conversion::IpAddr => text(match variable {
            Variable::Address(address) => Ipv4Addr::from(*address).to_string(),
            other => address(bytes(other)?)?.to_string(),
        }),
        Conversion::Hex => match variable {
            Variable::Bytes(bytes) => text(hex(bytes)),
            other => plain(other),
        },
        Conversion::HexToInt { big_endian, width } => {
            FieldValue::Unsigned(number_of_bytes(bytes(variable)?, *big_endian, *width)?)
        }
        Conversion::Enum { names, with_number } => match variable {
            Variable::Integer(number) => match names.iter().find(|(known, _)| known == number) {
                Some((_, name)) if *with_number => text(format!("{name}({number})")),
                Some((_, name)) => text((*name).to_owned()),
                None => FieldValue::Integer(*number),
            },
            other => plain(other),
        },
    }))
}

fn plain(variable: &Variable) -> FieldValue {
    match variable {
        Variable::Integer(number) => FieldValue::Integer(*number),
        Variable::Unsigned(number) => FieldValue::Unsigned(*number),
        Variable::Address(address) => FieldValue::String(Ipv4Addr::from(*address).to_string().into()),
        Variable::Oid(oid) => FieldValue::String(oid.as_str().into()),
        Variable::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => FieldValue::String(text.into()),
            Err(_) => FieldValue::String(hex(bytes).into()),
        },
    }
}

fn number(variable: &Variable) -> Result<f64, String> {
    match variable {
        Variable::Integer(number) => Ok(*number as f64),
        Variable::Unsigned(number) => Ok(*number as f64),
        Variable::Bytes(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            text.trim().parse().map_err(|_| format!("{text:?} is no number"))
        }
        Variable::Address(_) | Variable::Oid(_) => Err(format!("{variable:?} is no number")),
    }
}

fn bytes(variable: &Variable) -> Result<&[u8], String> {
    match variable {
        Variable::Bytes(bytes) => Ok(bytes),
        other => Err(format!("{other:?} are no bytes")),
    }
}

fn address(bytes: &[u8]) -> Result<IpAddr, String> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(bytes).into());
    }
    if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
        return Ok(Ipv6Addr::from(bytes).into());
    }
    Err(format!("{} bytes are no IP address", bytes.len()))
}

fn number_of_bytes(bytes: &[u8], big_endian: bool, width: Width) -> Result<u64, String> {
    let wanted = match width {
        Width::Bits16 => 2,
        Width::Bits32 => 4,
        Width::Bits64 => 8,
    };
    let bytes = bytes.get(..wanted).ok_or_else(|| format!("{} bytes and not {wanted}", bytes.len()))?;
    let fold = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
    Ok(if big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(variable: &Variable, conversion: &str) -> FieldValue {
        let conversion = Conversion::parse(conversion, None).expect("valid");
        value(variable, &conversion).expect("convertible").expect("a value")
    }

    #[test]
    fn conversions() {
        let bytes = |bytes: &[u8]| Variable::Bytes(bytes.to_vec());
        let text = |text: &str| FieldValue::String(text.into());
        assert_eq!(converted(&Variable::Integer(-5), ""), FieldValue::Integer(-5));
        assert_eq!(converted(&Variable::Unsigned(5), ""), FieldValue::Unsigned(5));
        assert_eq!(converted(&bytes(b"abc"), ""), text("abc"));
        assert_eq!(converted(&bytes(&[0xff, 0x01]), ""), text("ff01"));
        assert_eq!(converted(&Variable::Unsigned(1234), "float(2)"), FieldValue::Float(12.34));
        assert_eq!(converted(&bytes(b"2.5"), "float"), FieldValue::Float(2.5));
        assert_eq!(converted(&bytes(b"25"), "int"), FieldValue::Integer(25));
        assert_eq!(converted(&bytes(&[0, 1, 2, 3, 4, 0xfe]), "hwaddr"), text("00:01:02:03:04:fe"));
        assert_eq!(converted(&bytes(&[10, 0, 0, 1]), "ipaddr"), text("10.0.0.1"));
        assert_eq!(converted(&Variable::Address([10, 0, 0, 1]), ""), text("10.0.0.1"));
        assert_eq!(converted(&bytes(b"ab"), "hex"), text("6162"));
        assert_eq!(converted(&bytes(&[1, 2]), "hextoint:BigEndian:uint16"), FieldValue::Unsigned(258));
        assert_eq!(converted(&bytes(&[1, 2]), "hextoint:LittleEndian:uint16"), FieldValue::Unsigned(513));
        assert!(value(&bytes(b"x"), &Conversion::Float(0)).is_err());
        for bad in ["flot", "float(x)", "hextoint:Big:uint16", "enum", "displayhint"] {
            assert!(Conversion::parse(bad, None).is_err(), "{bad}");
        }
    }
}
