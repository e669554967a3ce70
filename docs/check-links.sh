#!/usr/bin/env bash
# Holds the pages at the top of the tree and in docs/ against the tree: every path in backticks that begins with one of our
# folders or files, and every relative link, must exist. Prints what does not.
set -euo pipefail
cd "$(dirname "$0")/.."
files=$(git ls-files --cached --others --exclude-standard)
mapfile -t pages < <(grep -E '^([^/]+|docs/.+)\.md$' <<< "$files")
mapfile -t tops < <(cut -d/ -f1 <<< "$files" | sort -u)
ours=" ${tops[*]} "
missing=0

miss() {
  echo "$1: $2 does not exist"
  missing=1
}

for page in "${pages[@]}"; do
  while read -r path; do
    if [[ $ours == *" ${path%%/*} "* && ! -e $path ]]; then miss "$page" "\`$path\`"; fi
  done < <(grep -oP '\x60\K[\w.@/-]+(?=\x60)' "$page")
  while read -r link; do
    if [[ $link != *:* && ! -e $(dirname "$page")/$link ]]; then miss "$page" "the link ($link)"; fi
  done < <(grep -oP '\]\(\K[^)#\s]+' "$page")
done
exit "$missing"
