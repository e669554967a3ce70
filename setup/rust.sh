# shellcheck shell=bash
# shellcheck disable=SC2154 # what ready.sh sets
# Sourced by ready.sh. Uses the Rust that is there if it is new enough, else one that Debian's rustup fetches.
rust=1.92
rust_is_ready() { command -v cargo > /dev/null && at_least "$rust" "$(rustc --version 2> /dev/null | cut -d' ' -f2)"; }

if ! rust_is_ready; then
  echo "Rust $rust or newer is needed, here is: $(rustc --version 2> /dev/null || echo none). Trying rustup ..."
  # --no-remove: a Rust of Debian's own stays, even where rustup would take its place.
  { command -v rustup > /dev/null || "${as_root[@]}" apt-get install --yes --no-install-recommends --no-remove rustup; } \
    && rustup toolchain install stable --profile minimal --component clippy,rustfmt && export RUSTUP_TOOLCHAIN=stable
  hash -r
fi
rust_is_ready || {
  cat >&2 <<MESSAGE
Rust $rust or newer is needed, and could not be installed. Either of these installs it; then run \`make $verb\` again:
    apt-get install rustup && rustup default stable
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . "\$HOME/.cargo/env"
MESSAGE
  exit 1
}
