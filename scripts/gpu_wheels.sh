#!/usr/bin/env bash
# Collects the wheels that scripts/gpu_check.sh needs beside torch, pandas, scikit-learn and friends, about 20 MB:
#     scripts/gpu_wheels.sh DIR [PYTHON_VERSION]     (for Linux on x86-64; 3.12 if left out)
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
target=${1:?usage: scripts/gpu_wheels.sh DIR [PYTHON_VERSION]}
version=${2:-3.12}
# What platforms with a GPU lack; everything else is there, or is not needed for these checks.
packages=(
    pydantic pydantic-core annotated-types typing-inspection captum cleanlab termcolor
    papermill ansicolors entrypoints tenacity nbclient nbformat fastjsonschema jsonschema jsonschema-specifications
    referencing rpds-py jupyter-client jupyter-core platformdirs pyzmq tornado traitlets
    ipykernel comm debugpy ipython ipython-pygments-lexers matplotlib-inline nest-asyncio2 stack-data executing asttokens
    pure-eval decorator jedi parso pexpect ptyprocess prompt-toolkit wcwidth
    nbconvert beautifulsoup4 soupsieve bleach webencodings tinycss2 defusedxml jupyterlab-pygments mistune pandocfilters
    pypdf torchinfo simplejpeg
)
python=$(find_python)
pins=$(mktemp)
trap 'rm -f -- "$pins"' EXIT
for package in "${packages[@]}"; do
    grep -i "^$package==" "$checkout/constraints.txt" || echo "$package"
done >"$pins"
"$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version "$version" --implementation cp \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --platform manylinux1_x86_64 --dest "$target" --requirement "$pins"
echo "$(ls "$target"/*.whl | wc -l) wheels in $target, $(du -sm "$target" | cut -f 1) MB"
