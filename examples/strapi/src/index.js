'use strict';

module.exports = {
  register() {},

  // Everybody may read and write articles: a site of your own gives these rights in its admin panel.
  async bootstrap({ strapi }) {
    const role = await strapi.db.query('plugin::users-permissions.role').findOne({ where: { type: 'public' } });
    for (const verb of ['find', 'findOne', 'create']) {
      const action = `api::article.article.${verb}`;
      const given = await strapi.db.query('plugin::users-permissions.permission').findOne({ where: { action, role: role.id } });
      if (!given) await strapi.db.query('plugin::users-permissions.permission').create({ data: { action, role: role.id } });
    }
  },
};
