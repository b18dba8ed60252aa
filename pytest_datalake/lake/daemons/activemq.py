"""Apache ActiveMQ, which speaks STOMP: for Rucio's traces and events and the transfer manager's messages.

Messages live in memory alone: those that nobody has fetched end with the broker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from pytest_datalake.lake.daemons.api import Process
from pytest_datalake.lake.daemons.files import make_directory, need, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_datalake.lake.daemons.api import Account

_JAR = "/usr/share/activemq/bin/activemq.jar"

_CONFIGURATION = """\
<!-- broker of traces, events and monitoring messages -->
<beans xmlns="http://www.springframework.org/schema/beans" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://www.springframework.org/schema/beans \
http://www.springframework.org/schema/beans/spring-beans-2.0.xsd \
http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="lake" persistent="false" useJmx="false" \
dataDirectory={data} schedulePeriodForDestinationPurge="0">
    <plugins>
      <simpleAuthenticationPlugin anonymousAccessAllowed="false">
        <users>{users}</users>
      </simpleAuthenticationPlugin>
    </plugins>
    <systemUsage>
      <systemUsage>
        <memoryUsage><memoryUsage limit="64 mb"/></memoryUsage>
        <storeUsage><storeUsage limit="64 mb"/></storeUsage>
        <tempUsage><tempUsage limit="64 mb"/></tempUsage>
      </systemUsage>
    </systemUsage>
    <transportConnectors>
      <transportConnector name="stomp" uri="stomp://127.0.0.1:{port}"/>
    </transportConnectors>
  </broker>
</beans>
"""

_USER = '<authenticationUser username={name} password={password} groups="users"/>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker listens, on loopback, and who may speak to it.

    Attributes:
        passwords: by name of the user.
    """

    port: int
    passwords: Mapping[str, str] = field(repr=False)

    @property
    def url(self) -> str:
        """Where it speaks STOMP."""
        return f"stomp://127.0.0.1:{self.port}"


def prepare(directory: Path, *, account: Account, broker: Broker) -> Process:
    """Write the configuration and say how the broker is started.

    Args:
        directory: private, of the account.
        account: who the broker runs as.
        broker: its port and users.

    Raises:
        UsageError: ActiveMQ or Java is not installed.
    """
    java = need("/usr/bin/java", "default-jre-headless")
    jar = need(_JAR, "activemq")
    logs = make_directory(directory / "log", account)
    data = make_directory(directory / "data", account)
    configuration = write_file(
        directory / "activemq.xml",
        _CONFIGURATION.format(data=quoteattr(str(data)), users=_users(broker.passwords), port=broker.port),
        account,
    )
    properties = {
        "activemq.home": "/usr/share/activemq",
        "activemq.base": directory,
        "activemq.conf": directory,
        "activemq.data": data,
        "activemq.classpath": "/usr/share/activemq/lib",
        "java.io.tmpdir": data,
        "user.home": directory,
    }
    return Process(
        name="activemq",
        command=(
            java,
            "-Xmx128m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",  # would leave a file in /tmp when killed
            *(f"-D{name}={value}" for name, value in properties.items()),
            *("-jar", jar, "start", f"xbean:file:{configuration}"),
        ),
        environment={"PATH": "/usr/bin:/bin", "HOME": str(directory), "LANG": "C.UTF-8"},
        ready=(("127.0.0.1", broker.port),),
        log=logs / "activemq.out",
        config=configuration,
        working_directory=directory,
    )


def _users(passwords: Mapping[str, str]) -> str:
    return "".join(
        _USER.format(name=quoteattr(name), password=quoteattr(password))
        for name, password in passwords.items()
    )
