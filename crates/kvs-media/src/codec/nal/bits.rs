//! Reading a NAL unit bit by bit.

/// The bits of a NAL unit's payload, with the emulation prevention bytes taken out
/// (H.264 and H.265 section 7.3.1.1). Every read says `None` behind the end.
#[derive(Clone, Debug)]
pub(crate) struct Bits {
    rbsp: Vec<u8>,
    /// In bits.
    at: usize,
}

impl Bits {
    /// The bits of a NAL unit, or of a part of it that begins on a byte: mostly of what is behind
    /// its header.
    pub(crate) fn of_payload(payload: &[u8]) -> Self {
        let mut rbsp = Vec::with_capacity(payload.len());
        let mut zeros = 0;
        for &byte in payload {
            if zeros == 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { (zeros + 1).min(2) } else { 0 };
            rbsp.push(byte);
        }
        Self { rbsp, at: 0 }
    }

    /// u(1).
    pub(crate) fn flag(&mut self) -> Option<bool> {
        let byte = *self.rbsp.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Passes over so many bits; `None` where there are not as many.
    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= self.rbsp.len() * 8).then_some(())
    }

    /// u(n), at most 32 bits.
    pub(crate) fn unsigned(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some((value << 1) | u32::from(self.flag()?)))
    }

    /// ue(v), Exp-Golomb: as many zeros as bits follow the one.
    pub(crate) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == 32 {
                return None;
            }
        }
        Some(self.unsigned(zeros)? + ((1 << zeros) - 1))
    }

    /// se(v): 0, 1, -1, 2, -2 …
    pub(crate) fn signed_exp_golomb(&mut self) -> Option<i64> {
        let code = i64::from(self.exp_golomb()?);
        Some(if code % 2 == 1 {
            code / 2 + 1
        } else {
            -(code / 2)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes() {
        // 1, 010, 011, 00100, 00101 and stuffing
        let mut bits = Bits::of_payload(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.exp_golomb()).collect();
        assert_eq!(codes, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        let mut bits = Bits::of_payload(&[0b0100_1100, 0b1000_0101, 0b1111_1111]);
        let codes: Vec<_> = (0..4).map(|_| bits.signed_exp_golomb()).collect();
        assert_eq!(codes, [Some(1), Some(-1), Some(2), Some(-2)]);
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        let mut bits = Bits::of_payload(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!(bits.unsigned(24), Some(1));
        assert_eq!(bits.unsigned(16), Some(0));
        assert_eq!(bits.flag(), None);
    }

    #[test]
    fn endless_zeros_are_no_code() {
        assert_eq!(Bits::of_payload(&[0; 40]).exp_golomb(), None);
        assert_eq!(Bits::of_payload(&[0, 0]).exp_golomb(), None);
        let longest = [0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(Bits::of_payload(&longest).exp_golomb(), Some(u32::MAX - 1));
    }
}
