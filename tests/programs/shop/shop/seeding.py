"""Fills an empty database: the same every time."""

import random
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.db import transaction

from shop.accounts.models import Address, Country, Customer
from shop.catalogue.models import Category, Product, Review, Supplier, Tag
from shop.orders.models import Coupon, Order, OrderLine, Payment, Shipment

FIRST = "Ada Bea Carl Dora Emil Finn Greta Hugo Ida Jon Kira Leo Mia Nils Ole".split()
LAST = "Adler Berg Claus Dorn Ebert Falk Graf Hahn Iversen Jung Krug Lang".split()
THINGS = "Lamp Chair Table Mug Bowl Shelf Rug Vase Clock Mirror Box Stool".split()
COLOURS = "red blue green white black".split()
COUNTRIES = [("DE", "Germany", 19), ("FR", "France", 20), ("DK", "Denmark", 25)]
BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc)
USERS = 10


def name_of_user(number):
    return f"user{number}"


def password_of_user(number):
    return f"secret-of-user-{number}-c3a9"


@transaction.atomic
def seed(orders=400, customers=40):
    """Products, customers and orders."""
    chance = random.Random(7)
    products = seed_catalogue(chance)
    people = seed_customers(chance, customers)
    seed_reviews(chance, products, people)
    seed_orders(chance, orders, people, products)


def seed_catalogue(chance):
    Category.objects.bulk_create([Category(name=thing) for thing in THINGS])
    Supplier.objects.bulk_create(
        [Supplier(name=f"{last} & Co.", email=f"{last}@example.org") for last in LAST]
    )
    Tag.objects.bulk_create([Tag(name=colour) for colour in COLOURS])
    categories = list(Category.objects.order_by("pk"))
    suppliers = list(Supplier.objects.order_by("pk"))
    Product.objects.bulk_create(
        Product(
            sku=f"{category.name[:3].upper()}-{number}",
            name=f"{colour} {category.name.lower()}",
            category=category,
            supplier=chance.choice(suppliers),
            price=Decimal(chance.randint(300, 20000)) / 100,
            stock=10_000 if number else 3,
        )
        for category in categories
        for number, colour in enumerate(COLOURS)
    )
    products = list(Product.objects.order_by("pk"))
    tags = {tag.name: tag for tag in Tag.objects.all()}
    Product.tags.through.objects.bulk_create(
        Product.tags.through(product=each, tag=tags[each.name.split()[0]])
        for each in products
    )
    Coupon.objects.bulk_create(
        [
            Coupon(code="SPRING", percent=10, uses_left=1_000_000),
            Coupon(code="GONE", percent=50, uses_left=0),
        ]
    )
    return products


def seed_customers(chance, count):
    users = get_user_model().objects
    Country.objects.bulk_create(
        Country(code=code, name=name, vat_percent=vat) for code, name, vat in COUNTRIES
    )
    countries = list(Country.objects.order_by("pk"))
    known = [
        users.create_user(
            name_of_user(number), f"user{number}@example.org", password_of_user(number)
        )
        for number in range(USERS)
    ]
    Customer.objects.bulk_create(
        Customer(
            user=known[number] if number < USERS else None,
            first_name=chance.choice(FIRST),
            last_name=chance.choice(LAST),
            email=f"customer{number}@example.org",
            card_number=f"4000{number:012d}",
            joined=date(2025, 1 + number % 12, 1 + number % 28),
        )
        for number in range(count)
    )
    people = list(Customer.objects.order_by("pk"))
    Address.objects.bulk_create(
        Address(
            customer=customer,
            country=chance.choice(countries),
            street=f"{chance.choice(LAST)} street {chance.randint(1, 99)}",
            city=chance.choice(["Aarhus", "Bremen", "Calais"]),
            postcode=f"{chance.randint(10000, 99999)}",
        )
        for customer in people
    )
    return people


def seed_reviews(chance, products, people):
    Review.objects.bulk_create(
        Review(
            product=product,
            customer=customer,
            stars=chance.randint(1, 5),
            text=f"It is a {product.name}.",
        )
        for product in products
        for customer in chance.sample(people, 3)
    )


def seed_orders(chance, count, people, products):
    addresses = {each.customer_id: each for each in Address.objects.all()}
    statuses = [*Order.Status.values, Order.Status.SENT]
    orders, lines = [], []
    for number in range(count):
        customer = chance.choice(people)
        orders.append(
            Order(
                customer=customer,
                address=addresses[customer.pk],
                status=chance.choice(statuses),
                placed=BEGINNING + timedelta(minutes=97 * number),
            )
        )
        wanted = chance.sample(products, chance.randint(1, 4))
        lines.append([(each, chance.randint(1, 3)) for each in wanted])
        orders[-1].total = sum(each.price * quantity for each, quantity in lines[-1])
    Order.objects.bulk_create(orders)
    orders = list(Order.objects.order_by("pk"))
    OrderLine.objects.bulk_create(
        OrderLine(order=order, product=product, quantity=quantity, price=product.price)
        for order, wanted in zip(orders, lines, strict=True)
        for product, quantity in wanted
    )
    paid = [order for order in orders if order.status in ("paid", "sent")]
    Payment.objects.bulk_create(
        Payment(
            order=order,
            amount=order.total,
            card_number=order.customer.card_number,
            made=order.placed + timedelta(minutes=5),
        )
        for order in paid
    )
    Shipment.objects.bulk_create(
        Shipment(
            order=order,
            carrier="Post",
            tracking=f"T{order.pk:06d}",
            cost=Decimal("4.90"),
        )
        for order in paid
        if order.status == "sent"
    )
