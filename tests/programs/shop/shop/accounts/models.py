"""Customers and where they live."""

from django.conf import settings
from django.db import models


class Country(models.Model):
    code = models.CharField(max_length=2, unique=True)
    name = models.CharField(max_length=80)
    vat_percent = models.PositiveSmallIntegerField(default=20)

    def __str__(self):
        return self.name


class CustomerQuerySet(models.QuerySet):
    def in_country(self, code):
        return self.filter(addresses__country__code=code).distinct()


class Customer(models.Model):
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True
    )
    first_name = models.CharField(max_length=60)
    last_name = models.CharField(max_length=60)
    email = models.EmailField(unique=True)
    card_number = models.CharField(max_length=19, blank=True)
    joined = models.DateField()

    objects = CustomerQuerySet.as_manager()

    class Meta:
        ordering = ["last_name", "first_name", "pk"]

    def __str__(self):
        return self.full_name

    @property
    def full_name(self):
        return f"{self.first_name} {self.last_name}"


class Address(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="addresses")
    country = models.ForeignKey(Country, models.PROTECT)
    street = models.CharField(max_length=120)
    city = models.CharField(max_length=80)
    postcode = models.CharField(max_length=12)

    class Meta:
        verbose_name_plural = "addresses"

    def __str__(self):
        return f"{self.street}, {self.postcode} {self.city}"
