//! Values on their way to and from the server, in PostgreSQL's binary format.
//!
//! SQLite has five types and asks nobody; a server knows the type of every value, so that whole numbers become what a
//! column or a mark is.

use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use rusqlite::types::Value;
use std::error::Error;

/// What stands for a zero character, which the server's texts cannot hold: a code point that no text may.
const ZERO: &str = "\u{10ffff}";

/// What is sent.
#[derive(Debug)]
pub(super) struct Sent<'v>(pub(super) &'v Value);

impl ToSql for Sent<'_> {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self.0, ty) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Integer(number), &Type::BOOL) => (*number != 0).to_sql(ty, out),
            (Value::Integer(number), &Type::INT4) => i32::try_from(*number)?.to_sql(ty, out),
            (Value::Integer(number), &Type::FLOAT8) => (*number as f64).to_sql(ty, out),
            (Value::Integer(number), &Type::TEXT | &Type::VARCHAR) => number.to_string().to_sql(ty, out),
            (Value::Integer(number), _) => number.to_sql_checked(ty, out),
            (Value::Real(number), _) => number.to_sql_checked(ty, out),
            (Value::Text(text), _) => text.replace('\0', ZERO).to_sql_checked(ty, out),
            (Value::Blob(bytes), _) => bytes.to_sql_checked(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What is received.
pub(super) struct Received(pub(super) Value);

impl<'a> FromSql<'a> for Received {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *ty {
            Type::BOOL => Value::Integer(bool::from_sql(ty, raw)?.into()),
            Type::INT2 => Value::Integer(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Value::Integer(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Value::Integer(i64::from_sql(ty, raw)?),
            Type::FLOAT4 => Value::Real(f32::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => Value::Real(f64::from_sql(ty, raw)?),
            Type::BYTEA => Value::Blob(raw.to_vec()),
            Type::NUMERIC => numeric(raw).ok_or("a number that is no whole number")?,
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => {
                Value::Text(String::from_sql(ty, raw)?.replace(ZERO, "\0"))
            }
            _ => return Err(format!("a value of the type {ty}").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A whole number of the type `numeric`, which sums are of: its digits count to 10,000.
fn numeric(raw: &[u8]) -> Option<Value> {
    let words: Vec<i16> = raw.as_chunks::<2>().0.iter().map(|word| i16::from_be_bytes(*word)).collect();
    let ([_, weight, sign, _], digits) = words.split_first_chunk::<4>()?;
    let mut number = 0_i64;
    for at in 0..=*weight {
        let digit = digits.get(usize::try_from(at).ok()?).copied().unwrap_or(0);
        number = number.checked_mul(10_000)?.checked_add(digit.into())?;
    }
    match *sign {
        0 => Some(Value::Integer(number)),
        0x4000 => Some(Value::Integer(-number)),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_whole_numbers() {
        let bytes = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        for (words, number) in [
            (&[0, 0, 0, 0][..], Some(0)),
            (&[1, 0, 0, 0, 42], Some(42)),
            (&[2, 1, 0x4000, 0, 3, 14], Some(-30_014)),
            // Zeros at the end are left out.
            (&[1, 1, 0, 0, 5], Some(50_000)),
            (&[0, 0, 0xC000, 0], None),
            (&[1, 9, 0, 0, 5], None),
            (&[1, 0], None),
        ] {
            assert_eq!(numeric(&bytes(words)), number.map(Value::Integer), "{words:?}");
        }
    }
}
