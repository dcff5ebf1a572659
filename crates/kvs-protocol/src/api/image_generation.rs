//! DescribeImageGenerationConfiguration, UpdateImageGenerationConfiguration: pictures that are made
//! of a stream's frames.

use serde::{Deserialize, Serialize};

use super::{ConfigurationStatus, StreamRef, TimestampOrigin};
use crate::{ApiError, DestinationRegion, DestinationUri};

/// No picture comes sooner after the one before.
const SAMPLING_INTERVAL_MS_MIN: i64 = 200;
/// The service model has 32 bits for it.
const SAMPLING_INTERVAL_MS_MAX: i64 = i32::MAX as i64;
const WIDTH_PIXELS_MAX: i64 = 3840;
const HEIGHT_PIXELS_MAX: i64 = 2160;
const JPEG_QUALITY_MAX: u8 = 100;

/// Which pictures of a stream are made, and where they go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Configuration", rename_all = "PascalCase")]
pub struct ImageGeneration {
    /// Whether pictures are made.
    pub status: ConfigurationStatus,
    /// By which clock they are that far apart.
    pub image_selector_type: TimestampOrigin,
    /// Where they go.
    pub destination_config: ImageDestination,
    /// How far apart they are at least.
    #[serde(rename = "SamplingInterval")]
    pub sampling_interval_ms: u32,
    /// What they are.
    pub format: ImageFormat,
    /// How they are encoded, where that is not left to the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_config: Option<FormatConfig>,
    /// How wide they are, where they are scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width_pixels: Option<u16>,
    /// How high they are, where they are scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height_pixels: Option<u16>,
}

/// Where pictures go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageDestination {
    /// A folder, such as `s3://bucket/prefix`.
    pub uri: DestinationUri,
    /// The region that it is in.
    pub destination_region: DestinationRegion,
}

/// How a picture is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ImageFormat {
    /// With losses.
    Jpeg,
    /// Without.
    Png,
}

/// What an encoder is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FormatConfig {
    /// From 1 to 100, as a text.
    #[serde(rename = "JPEGQuality")]
    pub jpeg_quality: JpegQuality,
}

/// From 1 to 100; a text on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct JpegQuality(u8);

impl TryFrom<String> for JpegQuality {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let quality = text.parse().ok().filter(|_| digits);
        quality
            .filter(|quality| (1..=JPEG_QUALITY_MAX).contains(quality))
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "JPEGQuality is {text:?}; it has to be from \"1\" to \"{JPEG_QUALITY_MAX}\""
                )
            })
    }
}

impl From<JpegQuality> for String {
    fn from(quality: JpegQuality) -> Self {
        quality.0.to_string()
    }
}

/// As it comes over the wire.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    status: ConfigurationStatus,
    image_selector_type: TimestampOrigin,
    destination_config: ImageDestination,
    sampling_interval: i64,
    format: ImageFormat,
    format_config: Option<FormatConfig>,
    width_pixels: Option<i64>,
    height_pixels: Option<i64>,
}

impl TryFrom<Configuration> for ImageGeneration {
    type Error = String;

    fn try_from(members: Configuration) -> Result<Self, String> {
        let pixels = |name, pixels: Option<i64>, max| {
            pixels
                .map(|pixels| within(name, pixels, 1, max))
                .transpose()
        };
        Ok(Self {
            status: members.status,
            image_selector_type: members.image_selector_type,
            destination_config: members.destination_config,
            sampling_interval_ms: within(
                "SamplingInterval",
                members.sampling_interval,
                SAMPLING_INTERVAL_MS_MIN,
                SAMPLING_INTERVAL_MS_MAX,
            )?,
            format: members.format,
            format_config: members.format_config,
            width_pixels: pixels("WidthPixels", members.width_pixels, WIDTH_PIXELS_MAX)?,
            height_pixels: pixels("HeightPixels", members.height_pixels, HEIGHT_PIXELS_MAX)?,
        })
    }
}

fn within<T: TryFrom<i64>>(name: &str, value: i64, min: i64, max: i64) -> Result<T, String> {
    T::try_from(value)
        .ok()
        .filter(|_| (min..=max).contains(&value))
        .ok_or_else(|| format!("{name} is {value}; it has to be from {min} to {max}"))
}

/// A request to set or delete the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateImageGeneration {
    /// The stream.
    pub stream: StreamRef,
    /// The new one; none deletes what there is.
    pub configuration: Option<ImageGeneration>,
}

/// The response to a request for the configuration.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribedImageGeneration {
    /// None if there is none.
    pub image_generation_configuration: Option<ImageGeneration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    image_generation_configuration: Option<ImageGeneration>,
}

impl UpdateImageGeneration {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let (stream, members) = StreamRef::read::<Members>(body)?;
        let configuration = members.image_generation_configuration;
        Ok(Self {
            stream,
            configuration,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "Status": "ENABLED", "ImageSelectorType": "PRODUCER_TIMESTAMP",
            "DestinationConfig": {"Uri": "s3://bucket/cam", "DestinationRegion": "us-west-2"},
            "SamplingInterval": 200, "Format": "JPEG", "FormatConfig": {"JPEGQuality": "80"},
            "WidthPixels": 3840, "HeightPixels": 1,
        })
    }

    fn parse(configuration: &Value) -> Result<UpdateImageGeneration, ApiError> {
        let body = json!({"StreamName": "a", "ImageGenerationConfiguration": configuration});
        UpdateImageGeneration::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_configuration_is_shown_as_it_was_set() {
        let mut short = good();
        for member in ["FormatConfig", "WidthPixels", "HeightPixels"] {
            short.as_object_mut().expect("an object").remove(member);
        }
        for configuration in [good(), short] {
            let set = parse(&configuration).expect("valid").configuration;
            assert_eq!(serde_json::to_value(set).expect("JSON"), configuration);
        }
        assert_eq!(parse(&Value::Null).expect("valid").configuration, None);
    }

    #[test]
    fn each_bound_holds_and_is_named() {
        for (member, value, says) in [
            ("Status", json!("ON"), "`ENABLED` or `DISABLED`"),
            ("Status", Value::Null, "body is invalid"),
            ("ImageSelectorType", json!("NOW"), "SERVER_TIMESTAMP"),
            ("SamplingInterval", json!(199), "from 200 to"),
            ("SamplingInterval", json!(1_i64 << 31), "from 200 to"),
            ("Format", json!("GIF"), "`JPEG` or `PNG`"),
            (
                "FormatConfig",
                json!({"JPEGQuality": "0"}),
                "\"1\" to \"100\"",
            ),
            (
                "FormatConfig",
                json!({"JPEGQuality": "101"}),
                "\"1\" to \"100\"",
            ),
            (
                "FormatConfig",
                json!({"JPEGQuality": "+9"}),
                "\"1\" to \"100\"",
            ),
            (
                "FormatConfig",
                json!({"JPEGQuality": 80}),
                "body is invalid",
            ),
            ("FormatConfig", json!({}), "JPEGQuality"),
            (
                "FormatConfig",
                json!({"JPEGQuality": "80", "Colour": "1"}),
                "Colour",
            ),
            ("WidthPixels", json!(0), "from 1 to 3840"),
            ("WidthPixels", json!(3841), "from 1 to 3840"),
            ("HeightPixels", json!(2161), "from 1 to 2160"),
            ("HeightPixels", json!(-1), "from 1 to 2160"),
            (
                "DestinationConfig",
                json!({"Uri": "s3://b"}),
                "DestinationRegion",
            ),
            (
                "DestinationConfig",
                json!({"DestinationRegion": "us-west-2"}),
                "Uri",
            ),
        ] {
            let mut configuration = good();
            configuration[member] = value;
            let error = parse(&configuration).expect_err(&configuration.to_string());
            assert!(error.message().contains(says), "{configuration}: {error}");
        }
    }
}
