//! Conditions on the arguments of a system call (`args` of a rule in linux.seccomp).

use crate::json::{Object, Word, unknown};
use crate::near::near;
use serde_core::de::MapAccess;

/// Something about an argument of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub index: u8,
    /// How it is compared.
    pub operator: Operator,
    /// With what; with [`Operator::MaskedEqual`] after the mask.
    pub value: u64,
}

impl Condition {
    /// Whether it holds for an argument.
    #[must_use]
    pub fn holds(&self, argument: u64) -> bool {
        match self.operator {
            Operator::NotEqual => argument != self.value,
            Operator::Less => argument < self.value,
            Operator::LessOrEqual => argument <= self.value,
            Operator::Equal => argument == self.value,
            Operator::GreaterOrEqual => argument >= self.value,
            Operator::Greater => argument > self.value,
            Operator::MaskedEqual(mask) => argument & mask == self.value,
        }
    }
}

/// How an argument is compared, as a number of 64 bits without a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `SCMP_CMP_NE`
    NotEqual,
    /// `SCMP_CMP_LT`
    Less,
    /// `SCMP_CMP_LE`
    LessOrEqual,
    /// `SCMP_CMP_EQ`
    Equal,
    /// `SCMP_CMP_GE`
    GreaterOrEqual,
    /// `SCMP_CMP_GT`
    Greater,
    /// `SCMP_CMP_MASKED_EQ`, with the mask.
    MaskedEqual(u64),
}

const OPERATORS: [(&str, Operator); 7] = [
    ("SCMP_CMP_NE", Operator::NotEqual),
    ("SCMP_CMP_LT", Operator::Less),
    ("SCMP_CMP_LE", Operator::LessOrEqual),
    ("SCMP_CMP_EQ", Operator::Equal),
    ("SCMP_CMP_GE", Operator::GreaterOrEqual),
    ("SCMP_CMP_GT", Operator::Greater),
    ("SCMP_CMP_MASKED_EQ", Operator::MaskedEqual(0)),
];

/// An entry of `args`, and the condition that it makes once it is whole.
#[derive(Default)]
pub(super) struct Argument {
    index: Option<u64>,
    value: Option<u64>,
    value_two: Option<u64>,
    operator: Option<Operator>,
    pub(super) condition: Option<Condition>,
}

impl Object for Argument {
    const WHAT: &'static str = "a condition on an argument";

    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "index" => self.index = Some(map.next_value()?),
            "value" => self.value = Some(map.next_value()?),
            "valueTwo" => self.value_two = Some(map.next_value()?),
            "op" => {
                let parse = |name: &str| {
                    let known = OPERATORS.iter().find(|(known, _)| *known == name);
                    let near = || near(name, OPERATORS.iter().map(|(name, _)| *name));
                    Ok(known.ok_or_else(|| unknown("operator", name, near()))?.1)
                };
                self.operator = Some(map.next_value_seed(Word(parse))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn near(key: &str) -> Option<&'static str> {
        near(key, ["index", "value", "valueTwo", "op"].into_iter())
    }

    fn complete(&mut self) -> Result<(), String> {
        let missing = |key: &str| format!("'{key}' is missing");
        let index = self.index.ok_or_else(|| missing("index"))?;
        let value = self.value.ok_or_else(|| missing("value"))?;
        let operator = self.operator.ok_or_else(|| missing("op"))?;
        let index = u8::try_from(index).ok().filter(|index| *index < 6);
        let index = index.ok_or("'index' is above 5: a system call has six arguments")?;
        let two = self.value_two.unwrap_or(0);
        let condition = match operator {
            Operator::MaskedEqual(_) if two & !value != 0 => {
                return Err(
                    "'valueTwo' has bits that the mask 'value' has not: it is never so".to_owned()
                );
            }
            Operator::MaskedEqual(_) => {
                Condition { index, operator: Operator::MaskedEqual(value), value: two }
            }
            _ if two != 0 => return Err("'valueTwo' is for SCMP_CMP_MASKED_EQ alone".to_owned()),
            operator => Condition { index, operator, value },
        };
        self.condition = Some(condition);
        Ok(())
    }
}
