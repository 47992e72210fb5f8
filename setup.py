"""Builds the extension of compiled loops; without a compiler the package is installed without it, and is slower."""

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FLAGS = {
    "msvc": ["/O2", "/fp:strict"],
    # rounding as IEEE 754 has it, integers that wrap, as in NumPy
    "unix": ["-O3", "-std=gnu11", "-fwrapv", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"],
}


class BuildLoops(build_ext):
    """Compiles with the flags that the bits depend on."""

    def build_extensions(self) -> None:
        """Choose the flags."""
        for extension in self.extensions:
            extension.extra_compile_args = FLAGS["msvc" if self.compiler.compiler_type == "msvc" else "unix"]
        super().build_extensions()


HEADERS = ["common", "entropy", "places", "recency", "walk", "team", "instruction_set", "sums", "context", "channels"]

setup(
    ext_modules=[
        Extension(
            "aezip._loops",
            ["native/aezip.c"],
            depends=[f"native/{name}.h" for name in HEADERS],
            define_macros=[("Py_LIMITED_API", "0x030b0000")],
            py_limited_api=True,
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildLoops},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
