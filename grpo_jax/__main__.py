# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m grpo_jax`, the same as the console script `grpo-jax`."""

import sys

from grpo_jax.cli import main

if __name__ == "__main__":
    sys.exit(main())
