//! The parameter sets that a stream has shown so far.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Its kind, which is its nal_unit_type, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetId {
    /// nal_unit_type.
    pub kind: u8,
    /// The id, of which each codec has 256 of a kind at most.
    pub id: u8,
}

/// The sets by kind and id. The ids bound them.
#[derive(Clone, Debug, Default)]
pub struct ParameterSets(BTreeMap<SetId, Bytes>);

/// What a NAL unit meant to the collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::codec) enum Learned {
    /// It is new or has another content than the one of the same id before.
    Change,
    Nothing,
    /// It is broken; whoever decodes the stream has to deal with it.
    Broken,
}

impl ParameterSets {
    pub(in crate::codec) fn learn(&mut self, id: Option<SetId>, nal: &[u8]) -> Learned {
        // A configuration has 16 bits for a set's length.
        let Some(id) = id.filter(|_| nal.len() <= usize::from(u16::MAX)) else {
            return Learned::Broken;
        };
        if self.0.get(&id).is_some_and(|known| known == nal) {
            return Learned::Nothing;
        }
        self.0.insert(id, Bytes::copy_from_slice(nal));
        Learned::Change
    }

    /// The sets of one kind, in the order of their ids.
    pub fn of_kind(&self, kind: u8) -> impl Iterator<Item = &Bytes> {
        let (first, last) = (SetId { kind, id: 0 }, SetId { kind, id: u8::MAX });
        self.0.range(first..=last).map(|(_, set)| set)
    }
}
