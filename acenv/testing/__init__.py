"""Checks of what environments, policies and compressors promise, for those who write their own.

Each check raises ``AssertionError`` with what is wrong and what to do, so that a test of one line is enough::

    def test_my_environment():
        acenv.testing.check_env("acenv/MyEnv-v0", difficulty="easy")
"""

from acenv.testing.compressors import check_compressor
from acenv.testing.environments import ENV_CHECKS, check_env
from acenv.testing.policies import POLICY_CHECKS, check_policy

__all__ = ["ENV_CHECKS", "POLICY_CHECKS", "check_compressor", "check_env", "check_policy"]
