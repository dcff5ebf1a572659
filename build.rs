//! Passes commit, date and version to `gst::plugin_define!`.
fn main() {
    gst_plugin_version_helper::info();
}
