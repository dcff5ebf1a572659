//! The parameter sets that a byte stream has shown so far.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::avcc::AvcConfig;
use super::bits::Bits;
use super::sps::Sps;

/// The sets by their ids, which H.264 bounds: 32 of the one kind, 256 of the other.
#[derive(Clone, Debug, Default)]
pub(super) struct ParameterSets {
    sps: BTreeMap<u8, Bytes>,
    pps: BTreeMap<u8, Bytes>,
}

/// What a NAL unit meant to the collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// It is new or has another content than the one of the same id before.
    Change,
    Nothing,
    /// It is broken; whoever decodes the stream has to deal with it.
    Broken,
}

impl ParameterSets {
    pub(super) fn learn_sps(&mut self, nal: &[u8]) -> Learned {
        match Sps::parse(nal) {
            Ok(sps) => learn(&mut self.sps, sps.id, nal),
            Err(_) => Learned::Broken,
        }
    }

    pub(super) fn learn_pps(&mut self, nal: &[u8]) -> Learned {
        let id = Bits::of_nal(nal).exp_golomb();
        match id.and_then(|id| u8::try_from(id).ok()) {
            Some(id) => learn(&mut self.pps, id, nal),
            None => Learned::Broken,
        }
    }

    /// All sets as a decoder's configuration; `None` until there is one of each kind.
    pub(super) fn config(&self) -> Option<AvcConfig> {
        let first = Sps::parse(self.sps.values().next()?).ok()?;
        self.pps.first_key_value()?;
        Some(AvcConfig {
            profile: first.profile,
            compatibility: first.compatibility,
            level: first.level,
            length_size: 4,
            sps: self.sps.values().cloned().collect(),
            pps: self.pps.values().cloned().collect(),
        })
    }
}

fn learn(sets: &mut BTreeMap<u8, Bytes>, id: u8, nal: &[u8]) -> Learned {
    // avcC has 16 bits for its length.
    if nal.len() > usize::from(u16::MAX) {
        return Learned::Broken;
    }
    if sets.get(&id).is_some_and(|known| known == nal) {
        return Learned::Nothing;
    }
    sets.insert(id, Bytes::copy_from_slice(nal));
    Learned::Change
}
