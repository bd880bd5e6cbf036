-- The places of the demo. Run once by the superuser on an empty data directory (see `init` in
-- stack.toml); where that did not happen (an external database), the app runs the same file itself.
-- So every statement must be true the second time too, and the app's role must be able to read.

CREATE TABLE IF NOT EXISTS places (
    id      text PRIMARY KEY,
    name    text NOT NULL,
    country text NOT NULL,
    spot    geography(Point, 4326) NOT NULL
);

GRANT SELECT, REFERENCES ON places TO PUBLIC;

INSERT INTO places (id, name, country, spot)
SELECT id, name, country, ST_SetSRID(ST_MakePoint(longitude, latitude), 4326)::geography
FROM (VALUES
    ('reykjavik', 'Reykjavík', 'Iceland', -21.9426, 64.1466),
    ('timbuktu', 'Timbuktu', 'Mali', -3.0074, 16.7735),
    ('ushuaia', 'Ushuaia', 'Argentina', -68.3030, -54.8019),
    ('ulaanbaatar', 'Ulaanbaatar', 'Mongolia', 106.9057, 47.8864),
    ('samarkand', 'Samarkand', 'Uzbekistan', 66.9750, 39.6542),
    ('zanzibar', 'Zanzibar', 'Tanzania', 39.1917, -6.1639),
    ('valparaiso', 'Valparaíso', 'Chile', -71.6127, -33.0472),
    ('tromso', 'Tromsø', 'Norway', 18.9553, 69.6492),
    ('kathmandu', 'Kathmandu', 'Nepal', 85.3240, 27.7172),
    ('antananarivo', 'Antananarivo', 'Madagascar', 47.5079, -18.8792),
    ('honolulu', 'Honolulu', 'Hawaii', -157.8583, 21.3069),
    ('wellington', 'Wellington', 'New Zealand', 174.7762, -41.2865),
    ('vladivostok', 'Vladivostok', 'Russia', 131.8855, 43.1155),
    ('marrakesh', 'Marrakesh', 'Morocco', -7.9811, 31.6295),
    ('nuuk', 'Nuuk', 'Greenland', -51.7214, 64.1814),
    ('lisbon', 'Lisbon', 'Portugal', -9.1393, 38.7223),
    ('tbilisi', 'Tbilisi', 'Georgia', 44.8271, 41.7151),
    ('addis-ababa', 'Addis Ababa', 'Ethiopia', 38.7578, 8.9806),
    ('cusco', 'Cusco', 'Peru', -71.9675, -13.5320),
    ('havana', 'Havana', 'Cuba', -82.3666, 23.1136),
    ('hobart', 'Hobart', 'Tasmania', 147.3257, -42.8826),
    ('hanoi', 'Hanoi', 'Vietnam', 105.8342, 21.0278),
    ('anchorage', 'Anchorage', 'Alaska', -149.9003, 61.2181),
    ('windhoek', 'Windhoek', 'Namibia', 17.0658, -22.5609),
    ('istanbul', 'Istanbul', 'Türkiye', 28.9784, 41.0082),
    ('lhasa', 'Lhasa', 'Tibet', 91.1175, 29.6475),
    ('kyoto', 'Kyoto', 'Japan', 135.7681, 35.0116),
    ('cartagena', 'Cartagena', 'Colombia', -75.4794, 10.3910),
    ('longyearbyen', 'Longyearbyen', 'Svalbard', 15.6267, 78.2232),
    ('cape-town', 'Cape Town', 'South Africa', 18.4241, -33.9249),
    ('perth', 'Perth', 'Australia', 115.8613, -31.9523),
    ('darwin', 'Darwin', 'Australia', 130.8456, -12.4634),
    ('muscat', 'Muscat', 'Oman', 58.4059, 23.5880),
    ('colombo', 'Colombo', 'Sri Lanka', 79.8612, 6.9271),
    ('dakar', 'Dakar', 'Senegal', -17.4677, 14.7167),
    ('edinburgh', 'Edinburgh', 'Scotland', -3.1883, 55.9533),
    ('naples', 'Naples', 'Italy', 14.2681, 40.8518),
    ('riga', 'Riga', 'Latvia', 24.1052, 56.9496),
    ('yakutsk', 'Yakutsk', 'Russia', 129.7326, 62.0355),
    ('manaus', 'Manaus', 'Brazil', -60.0217, -3.1190),
    ('salvador', 'Salvador', 'Brazil', -38.5016, -12.9777),
    ('la-paz', 'La Paz', 'Bolivia', -68.1193, -16.4897),
    ('quito', 'Quito', 'Ecuador', -78.4678, -0.1807),
    ('oaxaca', 'Oaxaca', 'Mexico', -96.7266, 17.0732),
    ('new-orleans', 'New Orleans', 'United States', -90.0715, 29.9511),
    ('vancouver', 'Vancouver', 'Canada', -123.1207, 49.2827),
    ('st-johns', 'St. John’s', 'Newfoundland', -52.7126, 47.5615),
    ('churchill', 'Churchill', 'Manitoba, Canada', -94.1650, 58.7684),
    ('yellowknife', 'Yellowknife', 'Canada', -114.3718, 62.4540),
    ('santa-fe', 'Santa Fe', 'New Mexico', -105.9378, 35.6870),
    ('port-moresby', 'Port Moresby', 'Papua New Guinea', 147.1803, -9.4438),
    ('apia', 'Apia', 'Samoa', -171.7514, -13.8507),
    ('suva', 'Suva', 'Fiji', 178.4419, -18.1416),
    ('papeete', 'Papeete', 'Tahiti', -149.5585, -17.5516),
    ('kinshasa', 'Kinshasa', 'DR Congo', 15.2663, -4.4419),
    ('lagos', 'Lagos', 'Nigeria', 3.3792, 6.5244),
    ('khartoum', 'Khartoum', 'Sudan', 32.5599, 15.5007),
    ('nairobi', 'Nairobi', 'Kenya', 36.8219, -1.2921),
    ('kigali', 'Kigali', 'Rwanda', 30.0619, -1.9441),
    ('aden', 'Aden', 'Yemen', 45.0187, 12.7855),
    ('isfahan', 'Isfahan', 'Iran', 51.6680, 32.6546),
    ('kashgar', 'Kashgar', 'China', 75.9897, 39.4704),
    ('mandalay', 'Mandalay', 'Myanmar', 96.0891, 21.9588),
    ('makassar', 'Makassar', 'Sulawesi', 119.4327, -5.1477)
) AS given (id, name, country, longitude, latitude)
ON CONFLICT (id) DO NOTHING;
