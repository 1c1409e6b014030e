"""moto with hundreds of instances. It looks through the tags of everything for those of one thing, and it keeps what has
ended for ever, which AWS does for an hour at most: a list would take it seconds. And it makes a second load balancer of
the same name, where AWS gives the first one again. Python loads this file before moto."""
import time

from moto.ec2.models import instances, tags
from moto.elbv2.exceptions import DuplicateLoadBalancerName
from moto.elbv2.models import ELBv2Backend

KEPT_SECONDS = 60
WILDCARDS = "*?["
describe_tags = tags.TagBackend.describe_tags
all_reservations = instances.InstanceBackend.all_reservations
create_load_balancer = ELBv2Backend.create_load_balancer


def describe_tags_of(self, filters=None):
    ids = (filters or {}).get("resource-id", [])
    if set(filters or {}) != {"resource-id"} or any(letter in one for one in ids for letter in WILDCARDS):
        return describe_tags(self, filters)
    kinds = {one: tags.EC2_PREFIX_TO_RESOURCE.get(tags.get_prefix(one), "") for one in ids if one in self.tags}
    return [{"resource_id": one, "key": key, "value": value, "resource_type": kind}
            for one, kind in kinds.items() for key, value in list(self.tags[one].items())]


def is_kept(instance):
    if instance._state.name != "terminated":
        return True
    instance.seen_ended = getattr(instance, "seen_ended", time.monotonic())
    return time.monotonic() - instance.seen_ended < KEPT_SECONDS


def recent_reservations(self, filters=None):
    for key, reservation in list(self.reservations.items()):
        # One without any is just being filled by another thread.
        if reservation.instances and not any(is_kept(one) for one in reservation.instances):
            self.reservations.pop(key, None)
    return all_reservations(self, filters)


def create_load_balancer_once(self, name, **settings):
    for one in list(self.load_balancers.values()):
        if one.name == name:
            if one.made_with != settings:
                raise DuplicateLoadBalancerName()
            return one
    made = create_load_balancer(self, name, **settings)
    made.made_with = settings
    return made


tags.TagBackend.describe_tags = describe_tags_of
instances.InstanceBackend.all_reservations = recent_reservations
ELBv2Backend.create_load_balancer = create_load_balancer_once
