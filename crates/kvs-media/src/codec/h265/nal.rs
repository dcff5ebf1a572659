//! NAL units: their kinds, and where a picture begins.

/// A NAL unit's header: type, layer and temporal id.
pub(super) const HEADER_BYTES: usize = 2;

/// nal_unit_type of the parameter sets.
pub(super) const VPS: u8 = 32;
pub(super) const SPS: u8 = 33;
pub(super) const PPS: u8 = 34;

/// The highest pps_pic_parameter_set_id.
pub(super) const PPS_ID_MAX: u8 = 63;

/// What a NAL unit holds: nal_unit_type of H.265 table 7-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalKind {
    /// A slice of a picture that needs others (0 to 15).
    Slice,
    /// A slice of an IRAP picture, BLA, IDR or CRA: decoding can start here (16 to 23).
    RandomAccessSlice,
    /// Video parameter set (32).
    Vps,
    /// Sequence parameter set (33).
    Sps,
    /// Picture parameter set (34).
    Pps,
    /// Access unit delimiter (35).
    AccessUnitDelimiter,
    /// Filler data (38).
    Filler,
    /// Supplemental enhancement information before its picture (39).
    PrefixSei,
    /// Anything else.
    Other(u8),
}

impl NalKind {
    /// The kind of a NAL unit, by its first byte; an empty one is of the last kind there is, which
    /// means nothing.
    pub fn of(nal: &[u8]) -> Self {
        match nal.first().map_or(0x7E, |byte| byte & 0x7E) >> 1 {
            0..=15 => Self::Slice,
            16..=23 => Self::RandomAccessSlice,
            VPS => Self::Vps,
            SPS => Self::Sps,
            PPS => Self::Pps,
            35 => Self::AccessUnitDelimiter,
            38 => Self::Filler,
            39 => Self::PrefixSei,
            other => Self::Other(other),
        }
    }
}

/// Whether a NAL unit behind a slice belongs to the next access unit (H.265 section 7.4.2.4.4).
/// Those of other layers do not: they are of the same picture.
pub(super) fn begins_unit(nal: &[u8]) -> bool {
    let &[first, second, ..] = nal else {
        return false;
    };
    if (first & 1, second >> 3) != (0, 0) {
        return false;
    }
    match NalKind::of(nal) {
        NalKind::Slice | NalKind::RandomAccessSlice => {
            // first_slice_segment_in_pic_flag.
            nal.get(HEADER_BYTES).is_some_and(|byte| byte & 0x80 != 0)
        }
        NalKind::Vps
        | NalKind::Sps
        | NalKind::Pps
        | NalKind::AccessUnitDelimiter
        | NalKind::PrefixSei
        | NalKind::Other(41..=44 | 48..=55) => true,
        NalKind::Filler | NalKind::Other(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A NAL unit of that type, layer and first byte of payload.
    fn nal(kind: u8, layer: u8, payload: u8) -> [u8; 3] {
        [kind << 1 | layer >> 5, layer << 3 | 1, payload]
    }

    #[test]
    fn the_first_slice_of_a_picture_begins_a_unit_and_the_others_do_not() {
        for kind in [0, 1, 19, 21] {
            assert!(begins_unit(&nal(kind, 0, 0x80)), "{kind}");
            assert!(!begins_unit(&nal(kind, 0, 0x40)), "{kind}");
            assert!(!begins_unit(&nal(kind, 1, 0x80)), "{kind} of another layer");
        }
        for kind in [32, 33, 34, 35, 39, 41, 48, 55] {
            assert!(begins_unit(&nal(kind, 0, 0)), "{kind}");
        }
        for kind in [36, 37, 38, 40, 45, 56] {
            assert!(!begins_unit(&nal(kind, 0, 0x80)), "{kind}");
        }
        assert!(!begins_unit(&[]));
    }

    #[test]
    fn decoding_starts_at_every_irap_picture_and_nowhere_else() {
        for kind in 0..=47 {
            let starts = NalKind::of(&nal(kind, 0, 0x80)) == NalKind::RandomAccessSlice;
            assert_eq!(starts, (16..=23).contains(&kind), "{kind}");
        }
        assert_eq!(NalKind::of(&[]), NalKind::Other(63));
    }
}
