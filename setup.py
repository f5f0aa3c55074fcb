"""What is installed, and what Beam stages on workers."""

from setuptools import setup

setup(
    name="streamgauge",
    version="0.1.0",
    description="Metering for clouds: OpenStack Telemetry as a stream-processing job",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[
        "cli",
        "jobs",
        "metering",
        "metering.definitions",
        "sinks",
        "sources",
        "store",
        "store.queries",
        "transforms",
        "webapi",
    ],
    package_data={
        "metering.definitions": ["*.yaml"],
        "store": ["*.txt", "migrations/*.sql"],
        "webapi": ["openapi.json"],
    },
    install_requires=[
        "amqp>=5.2",
        "apache-beam==2.77.0",
        "chdb>=4.4,<5",
        "clickhouse-connect>=1.12,<2",
        "cliff>=4.7",
        "clickhouse-cityhash>=1.0.2.4",
        "flask>=3.0",
        "google-cloud-pubsub>=2.20",
        # 1.9 and newer need Python 3.11.
        "jsonpath-ng>=1.16,<2; python_version >= '3.11'",
        "jsonpath-ng>=1.8,<2; python_version < '3.11'",
        "lz4>=4.3",
        "msgspec>=0.19",
        "numpy>=1.26",
        "openstacksdk>=4.0",
        "orjson>=3.10",
        "polars>=1.20",
        "prometheus-client>=0.20",
        "pyarrow>=16",
        "pydantic>=2.8",
        "pydantic-settings>=2.6",
        "pyyaml>=6.0",
        "requests>=2.31",
        "rich>=13",
        "tenacity>=8.3",
        "waitress>=3.0",
        "xxhash>=3.4",
    ],
    extras_require={
        # Flink's jars. The package apache-flink itself pins an older Beam and can't be installed
        # beside this one.
        "flink": ["apache-flink-libraries==1.19.3"],
        "test": [
            "cryptography>=42",
            "hypothesis>=6.100",
            "mypy>=1.11",
            "oslo.messaging>=14",
            "pandas-stubs",
            "pytest>=8.2",
            "ruff>=0.6",
            "schemathesis>=3.39",
            "types-PyYAML",
            "types-requests",
        ],
    },
    entry_points={
        "console_scripts": ["streamgauge = cli.main:main"],
        "streamgauge.feeds": [
            "rabbitmq = sources.rabbitmq:RabbitFeed",
            "files = sources.files:FilesFeed",
            "demo = sources.demo:DemoFeed",
        ],
    },
)
